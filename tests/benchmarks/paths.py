"""How long the way of a call is through the library: calls, files, and changes from file to file.

    python -m tests.benchmarks.paths

Counts calls of callguard's own functions, by ``sys.setprofile``: for an admission with room, with
its call placed and its block left; and for a snapshot that admits a caller who waits, from its
request until the caller has its permit.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import callguard
from callguard import RedisLedger, Snapshot
from callguard.testing import RedisServer, ScriptedSource
from tests.benchmarks.tables import markdown

PACKAGE = str(Path(callguard.__file__).parent)


class Way:
    """The files of the functions that were called, in order."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def begin(self) -> None:
        """Write down from now on."""
        self.files.clear()
        sys.setprofile(self._note)

    def end(self) -> tuple[int, int, int]:
        """Stop; returns calls, files, and changes of file."""
        sys.setprofile(None)
        changes = sum(one != other for one, other in zip(self.files, self.files[1:], strict=False))
        return len(self.files), len(set(self.files)), changes

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE) and "/testing/" not in file:
            self.files.append(file)


class Source(ScriptedSource):
    """Says when it is asked."""

    def __init__(self, asked: Callable[[], None]) -> None:
        super().__init__(limit=1)
        self._asked = asked
        self.watched = False

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        if self.watched:
            self._asked()
        return await super().get(newer_than=newer_than)


async def _measured(ledger: RedisLedger | None) -> list[tuple[str, int, int, int]]:
    path = Way()
    source = Source(path.begin)
    options: dict[str, Any] = {"source": source, "ledger": ledger, "ttl": 0.2, "min_interval": 0.05}
    async with callguard.open_gate(**options, ring_limit=0.0, counter_lag=0.0, cps=None) as gate:
        async with gate.admit() as first:  # what is made at the first use is no part of it
            first.cancel()
        await asyncio.sleep(0.5)
        path.begin()
        async with gate.admit() as permit:
            permit.placed("call_1")
        if ledger is not None:
            await asyncio.sleep(0.05)  # the server has to hear of it
        admission = path.end()
        source.answer(limit=1, current=1)
        waiting = asyncio.create_task(_visit(gate, path))
        await asyncio.sleep(0.5)
        source.answer(limit=2, current=1)
        source.watched = True
        reading = await waiting
    where = "memory" if ledger is None else "Redis"
    return [
        (f"admit, placed, leave, in {where}", *admission),
        (f"a snapshot until a caller is admitted, in {where}", *reading),
    ]


async def _visit(gate: callguard.Gate, path: Way) -> tuple[int, int, int]:
    async with gate.admit() as permit:
        found = path.end()
        permit.cancel()
    return found


async def measure() -> None:
    """Print the table."""
    rows = await _measured(None)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer())
        ledger = RedisLedger.from_url(server.url, name="paths")
        rows += await _measured(await stack.enter_async_context(ledger))
    print(markdown(("", "calls", "files", "changes of file"), rows))


if __name__ == "__main__":
    asyncio.run(measure())
