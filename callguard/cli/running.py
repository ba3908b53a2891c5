"""Runs a command's coroutine until it ends, or until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import typer

from callguard.cli import output
from callguard.cli.exits import ExitCode

__all__ = ["run"]


def run(
    command: Coroutine[Any, Any, ExitCode],
    *,
    on: Callable[[Coroutine[Any, Any, ExitCode]], ExitCode] | None = None,
) -> NoReturn:
    """Run `command` by `asyncio.run`, or by `on` in its place, and exit with its code.

    Ctrl-C and SIGTERM cancel it, so that it can restore the terminal, and print one line.
    """
    try:
        code = (on or asyncio.run)(_cancelled_by_sigterm(command))
    except KeyboardInterrupt:
        code = _ended("interrupted", ExitCode.INTERRUPTED)
    except OSError as error:
        if not output.is_of_output(error):
            raise
        code = output.failed(error)
    except asyncio.CancelledError:
        code = _ended("terminated", ExitCode.TERMINATED)
    raise typer.Exit(code)


async def _cancelled_by_sigterm(command: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    task = asyncio.ensure_future(command)
    with suppress(NotImplementedError):  # on Windows, where nobody sends SIGTERM
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _ended(how: str, code: ExitCode) -> ExitCode:
    print(how, file=sys.stderr)
    return code
