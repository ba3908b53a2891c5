"""The demo in several processes, each of which dials its share of the leads, on a shared ledger."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

from callguard.decision import decide
from callguard.demo.gated import LANES
from callguard.demo.leads import BULK, Lead
from callguard.demo.progress import Reckoning
from callguard.errors import LedgerUnavailable
from callguard.ledger import RedisLedger
from callguard.simulator import Server

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents

__all__ = ["SharedDialer", "shared_dialer"]

_MAX_AGE: Final = 15.0
"""Seconds that the workers' gates trust a snapshot; the default of `open_gate`."""

_INTERVAL: Final = 0.1
"""Seconds between two looks at the ledger."""


@asynccontextmanager
async def shared_dialer(
    server: Server,
    url: str,
    workers: int,
    call_ids: list[str],
    complain: Callable[[str], None],
) -> AsyncIterator[SharedDialer]:
    """A dialer of several processes, none of which outlives its `dial`.

    Args:
        server: the workspace to dial in.
        url: the address of the server that keeps the ledger.
        workers: the number of processes.
        call_ids: a list to which the id of each placed call is added.
        complain: called with a sentence when a worker fails.

    Raises:
        LedgerUnavailable: the ledger's server can't be reached.
        UsageError: the ledger's address can't be used.
        MissingExtra: redis-py is not installed.
    """
    async with RedisLedger.from_url(url) as ledger:
        contents = await ledger.look(server.api_key)
        dialling = _Workers(server, url, workers, call_ids, complain)
        yield SharedDialer(dialling, ledger, contents)


class SharedDialer:
    """Leaves the dialling to workers, and reads from their ledger how they decide."""

    def __init__(self, workers: _Workers, ledger: RedisLedger, contents: Contents) -> None:
        self._workers = workers
        self._ledger = ledger
        self._contents = contents
        self._away: LedgerUnavailable | None = None

    async def dial(self, leads: Sequence[Lead]) -> None:
        """Dial all leads, unless workers fail. Cancelling this kills the workers."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            await self._workers.dial(len(leads))
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    def reckoning(self) -> Reckoning:
        """The figures that the gates decide by, as they were in the ledger at the last look.

        The reason is that the ledger's server is away, if it didn't answer.
        """
        contents = self._contents
        waiting = Counter[str]()
        for queue in contents.waiting:
            waiting[queue.lane] += queue.callers
        decision = decide(
            LANES[BULK],
            contents.usage,
            contents.snapshot,
            now=contents.now,
            max_age=_MAX_AGE,
            withheld=contents.withheld_from(
                contents.now if contents.snapshot is None else contents.snapshot.began
            ),
        )
        return Reckoning(
            usage=contents.usage.total,
            waiting={lane: waiting[lane] for lane in LANES},
            reason=str(self._away or decision),
        )

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                self._contents = await self._ledger.look(self._workers.api_key)
            except LedgerUnavailable as error:
                self._away = error  # the figures stand still until the server is back
            else:
                self._away = None


class _Workers:
    def __init__(
        self,
        server: Server,
        url: str,
        number: int,
        call_ids: list[str],
        complain: Callable[[str], None],
    ) -> None:
        self.api_key = server.api_key
        self._number = number
        self._call_ids = call_ids
        self._complain = complain
        # Not on the command line, which everybody on the machine can read.
        self._environment = os.environ | {
            "RETELL_API_KEY": server.api_key,
            "RETELL_BASE_URL": server.url,
            "CALLGUARD_LEDGER": url,
        }

    async def dial(self, leads: int) -> None:
        """Run the workers until all have ended; a failing worker ends no other."""
        async with asyncio.TaskGroup() as group:
            for part in range(self._number):
                group.create_task(self._run(part, leads))

    async def _run(self, part: int, leads: int) -> None:
        numbers = {"--leads": leads, "--part": part, "--workers": self._number}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "callguard", "demo-worker"),
            *(f"{name}={value}" for name, value in numbers.items()),
            env=self._environment,
            stdin=PIPE,  # its end tells the worker that this process is gone
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # so that Ctrl-C doesn't reach it
        )
        try:
            complaint = await self._heard_out(process)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            ended = f"process {process.pid} ended with code {process.returncode}"
            self._complain(f"{ended}: {complaint or 'it said nothing'}")

    async def _heard_out(self, process: Process) -> str:
        """The last line that a worker wrote to stderr, once it has ended."""
        complaints = asyncio.create_task(cast("StreamReader", process.stderr).read())
        try:
            async for line in cast("StreamReader", process.stdout):
                self._call_ids.append(line.decode().strip())
            await process.wait()
            return (await complaints).decode(errors="replace").strip().rpartition("\n")[2]
        finally:
            complaints.cancel()
