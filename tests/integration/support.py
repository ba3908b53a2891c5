"""What a command is run with, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from callguard.simulator import Server, serve

LONGEST: Final = 60.0
"""Seconds for what takes one or two on an idle machine: a test fails, and doesn't hang."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
"""Gets the arguments, and the environment's variables by name; None for one that is not set."""


def environment(**variables: str | None) -> dict[str, str]:
    """This process's, without what would change how the commands behave."""
    changing = (
        "RETELL_",
        "CALLGUARD_LEDGER",
        "NO_COLOR",
        "FORCE_COLOR",
        "TTY_",
        "COLUMNS",
        "LINES",
        "TYPER_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(changing)}
    wanted = {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", **variables}
    return kept | {name: value for name, value in wanted.items() if value is not None}


@contextmanager
def served(**workspace: Any) -> Iterator[Server]:
    """A simulated workspace in a thread of its own, beside a command that has the main one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        serving = serve(**workspace)
        server = asyncio.run_coroutine_threadsafe(_entered(serving), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(_left(serving), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _entered(serving: Any) -> Server:
    server: Server = await serving.__aenter__()
    return server


async def _left(serving: Any) -> None:
    await serving.__aexit__(None, None, None)
