"""Programs that dial leads as anybody's do: they know the provider's address, and no callguard."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.commands import KEY, environment

__all__ = ["Dialled", "Program", "dialling"]

HERE = Path(__file__).parent

Program = Literal["dial.js", "dial_threads.py", "dial_async.py", "dial.sh"]

_COMMANDS: Mapping[str, str] = {".js": "node", ".py": sys.executable, ".sh": "sh"}

_RESULT = b"{"
"""How a line about a lead begins; the SDKs' own lines don't."""


@dataclass(frozen=True)
class Dialled:
    """What became of a lead, by what its dialer saw.

    Attributes:
        lead: the lead's number.
        call_id: the id of its call; None if there is none.
        error: the class of the SDK's error; None if there is a call.
        status: the status of the answer in the error, if there was one.
        seconds: how long the SDK's method took.
    """

    lead: int
    call_id: str | None = None
    error: str | None = None
    status: int | None = None
    seconds: float = 0.0


async def dialling(
    program: Program,
    url: str,
    leads: range,
    at_once: int = 1,
    *,
    node_modules: Path | None = None,
    log: list[str] | None = None,
) -> AsyncIterator[Dialled]:
    """Run a program, and yield each lead as the program is done with it.

    Args:
        program: the program.
        url: the provider's address, as far as the program knows.
        leads: the leads' numbers.
        at_once: how many to dial at once.
        node_modules: where Node.js finds the SDK.
        log: takes what the SDK logs of its retries; None not to log.

    Raises:
        AssertionError: the program failed.
    """
    more = {} if node_modules is None else {"NODE_PATH": str(node_modules)}
    if log is not None:
        more["RETELL_LOG"] = "info"
    said: list[str] = [] if log is None else log
    process = await asyncio.create_subprocess_exec(
        _COMMANDS[Path(program).suffix],
        str(HERE / program),
        *map(str, (leads.start, len(leads), at_once)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        env=environment(RETELL_API_KEY=KEY, RETELL_BASE_URL=url, **more),
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.startswith(_RESULT):
                yield Dialled(**json.loads(line))
            else:
                said.append(line.decode())
        assert await process.wait() == 0, "".join(said)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
