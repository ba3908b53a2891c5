"""A gate in a process of its own, to be killed, stopped and continued.

The process, of `tests.support.processes`, does what it is told, and tells what happens.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from callguard import Permit, RedisLedger, open_gate
from callguard.events import Event, PermitLost
from tests.shared.provider import Provider
from tests.shared.support import LEASE, PATIENCE, TIMEOUT, TIMES, eventually
from tests.support.processes import Parent, Said, Worker

HOURS = 5 * 3600.0
"""Seconds by which a process's wall clock is wrong, where a test wants that."""

SHIFT = 10_000.0
"""Seconds by which a process's event loop has another time than all others."""


class FarGate:
    """A gate in another process, as the test sees it."""

    def __init__(self, worker: Worker, pid: int) -> None:
        self._worker = worker
        self._pid = pid

    async def heard(self, what: str) -> Said:
        """The next that it tells of such a thing; what it tells of others before is passed over."""
        async with asyncio.timeout(PATIENCE):
            while (said := await self._worker.expect())["what"] != what:
                pass
        return said

    def send(self) -> None:
        """One more caller joins the queue."""
        self._worker.tell(do="send")

    async def admit(self) -> str:
        """Send a caller, and wait until it is admitted. Returns the permit's id."""
        self.send()
        return str((await self.heard("admitted"))["permit"])

    def say(self, what: str) -> None:
        """Say ``"cancel"`` or ``"placed"`` of every permit, and leave its block."""
        self._worker.tell(do=what)

    async def lost(self) -> list[bool]:
        """Of each permit whether it is lost."""
        self._worker.tell(do="look")
        return list((await self.heard("looked"))["lost"])

    async def order_pause(self, reason: str) -> int:
        """Have the gate pause everything; returns its process's id once the server knows of it."""
        self._worker.tell(do="order a pause", reason=reason)
        await self.heard("paused")
        return self._pid

    async def explained(self) -> str:
        """What the gate explains of a call that would come now."""
        self._worker.tell(do="look")
        return str((await self.heard("looked"))["explained"])

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        self._worker.kill()


@asynccontextmanager
async def far_gate(
    redis_url: str, provider: Provider, name: str, key: str, **how: Any
) -> AsyncIterator[FarGate]:
    """A gate in a process of its own, which is gone at the end.

    Args:
        key: the API key with which it reads.
        how: `lease`, `timeout` or `clock` of `run_gate`, or times for `open_gate`.
    """
    worker = await Worker.start(run_gate, redis_url, provider.url, name, key, **how)
    try:
        async with asyncio.timeout(PATIENCE):
            ready = await worker.expect()
        yield FarGate(worker, ready["pid"])
    finally:
        worker.kill()
        await worker.aclose()


async def run_gate(
    parent: Parent,
    /,
    redis_url: str,
    provider_url: str,
    name: str,
    key: str,
    lease: float = LEASE,
    timeout: float = TIMEOUT,
    clock: str | None = None,
    **times: float,
) -> None:
    """What the process does, until its parent has no more to say."""
    if clock is not None:
        _bend(clock)

    def tell_lost(event: Event) -> None:
        if isinstance(event, PermitLost):
            parent.tell(what="lost", permit=event.permit_id)

    async with (
        RedisLedger.from_url(redis_url, name=name, lease=lease, timeout=timeout) as ledger,
        open_gate(
            key,
            base_url=provider_url,
            ledger=ledger,
            listener=tell_lost,
            **{"cps": None, **TIMES, **times},
        ) as gate,
    ):
        parent.tell(what="ready", pid=os.getpid())
        permits: list[Permit] = []
        leave: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        tasks = []

        async def visit() -> None:
            async with gate.admit() as permit:
                permits.append(permit)
                parent.tell(what="admitted", permit=permit.id)
                if await asyncio.shield(leave) == "cancel":
                    permit.cancel()

        while (said := await parent.hear()) is not None:
            if said["do"] == "send":
                tasks.append(asyncio.create_task(visit()))
            elif said["do"] == "order a pause":
                gate.pause(reason=said["reason"])
                await eventually(lambda: _has_pauses(ledger, key))
                parent.tell(what="paused")
            elif said["do"] == "look":
                lost = [permit.lost for permit in permits]
                parent.tell(what="looked", lost=lost, explained=str(gate.explain()))
            else:
                leave.set_result(said["do"])
                leave = asyncio.get_running_loop().create_future()
                permits.clear()


async def _has_pauses(ledger: RedisLedger, key: str) -> bool:
    return bool((await ledger.look(key)).pauses)


def _bend(clock: str) -> None:
    if clock == "wall":
        true_time = time.time
        time.time = lambda: true_time() + HOURS
    else:
        asyncio.get_running_loop().__class__ = _ShiftedLoop


class _ShiftedLoop(asyncio.SelectorEventLoop):
    def time(self) -> float:
        return super().time() + SHIFT
