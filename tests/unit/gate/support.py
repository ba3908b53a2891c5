"""A gate on scripted limits, under a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Final

from callguard import Gate, Lane, Listener, Permit
from callguard.errors import LimitsRejected
from callguard.fetcher import CallState
from callguard.gate.asking import Questions
from callguard.gate.assembly import Parts, assemble
from callguard.gate.opening import OPENS_WITHIN
from callguard.gate.refusal import Judge
from callguard.lanes import DEFAULT_LANE
from callguard.ledger import MemoryLedger, Times
from callguard.stamps import ProviderClock
from callguard.testing import ScriptedSource
from callguard.trunks import DEFAULT_TRUNK, Trunk, checked_trunks

PROVIDER: Final = "http://provider.test"


class OneByOne:
    """A provider that answers about single calls only, as `ask` does."""

    def __init__(self, ask: Callable[[str], Awaitable[CallState]]) -> None:
        self._ask = ask

    async def ask(self, call_id: str) -> CallState:
        return await self._ask(call_id)

    async def ask_all(self, call_ids: Sequence[str]) -> Mapping[str, CallState]:
        raise LimitsRejected("no lists here", 404)


@asynccontextmanager
async def opened(
    fetcher: ScriptedSource,
    *lanes: Lane,
    ttl: float = 1.0,
    max_age: float = 15.0,
    counted_after: float = 2.0,
    counter_lag: float = 2.0,
    min_interval: float = 0.25,
    refused: Callable[[Exception], bool] | None = None,
    listener: Listener | None = None,
    ask: Callable[[str], Awaitable[CallState]] | None = None,
    questions: Questions | None = None,
    ring_limit: float = 30.0,
    with_default: bool = True,
    cps: float | None = None,
    trunks: Iterable[Trunk] = (),
    inbound_apart: bool = False,
    ends_free: bool = False,
    learns: bool = False,
    clock: ProviderClock | None = None,
) -> AsyncIterator[Gate]:
    adds_default = with_default and not any(lane.default for lane in lanes)
    times = Times(
        counted_after=counted_after,
        counter_lag=counter_lag,
        ttl=ttl,
        min_interval=min_interval,
        max_age=max_age,
        ring_limit=ring_limit,
        learns=learns,
    )
    every_trunk = checked_trunks(trunks, cps)
    parts = assemble(
        fetcher,
        MemoryLedger(times, every_trunk, inbound_apart=inbound_apart, ends_free=ends_free),
        lanes=(*lanes, DEFAULT_LANE) if adds_default else lanes,
        trunks=every_trunk,
        times=times,
        judge=Judge(PROVIDER, refused),
        listeners=() if listener is None else (listener,),
        workspace="a workspace",
        questions=questions if ask is None else OneByOne(ask),
        clock=clock,
    )
    async with gate_of(parts) as gate:
        yield gate


@asynccontextmanager
async def gate_of(parts: Parts) -> AsyncIterator[Gate]:
    """A gate of these parts, which has read its limits."""
    closing = AsyncExitStack()
    closing.push_async_callback(parts.aclose)
    gate = Gate(parts, closing)
    try:
        await parts.read_first(OPENS_WITHIN)
        yield gate
    finally:
        await gate.aclose()


class Refusal(Exception):
    """What a dial raises when the provider refuses it."""

    status_code = 429
    request = SimpleNamespace(url=f"{PROVIDER}/v2/create-phone-call", method="POST")


class Crowd:
    """Callers that each hold a permit until the test lets them go."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._tasks: list[asyncio.Task[None]] = []
        self.arrived: list[str] = []
        self.times: dict[str, float] = {}
        self.permits: dict[str, Permit] = {}
        self._go: dict[str, asyncio.Event] = {}

    def send(
        self,
        *names: str,
        lane: str | None = None,
        trunk: str | None = DEFAULT_TRUNK,
        timeout: float | None = None,
    ) -> None:
        for name in names:
            self._go[name] = asyncio.Event()
            visit = self._visit(name, lane, trunk, timeout)
            self._tasks.append(asyncio.create_task(visit, name=name))

    def task(self, name: str) -> asyncio.Task[None]:
        return next(task for task in self._tasks if task.get_name() == name)

    def dismiss(self, names: Iterable[str]) -> None:
        """Let callers leave without having dialled."""
        for name in list(names):
            self.permits[name].cancel()
            self._go[name].set()

    async def disperse(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _visit(
        self, name: str, lane: str | None, trunk: str | None, timeout: float | None
    ) -> None:
        async with self._gate.admit(lane, trunk=trunk, timeout=timeout) as permit:
            self.arrived.append(name)
            self.times[name] = asyncio.get_running_loop().time()
            self.permits[name] = permit
            await self._go[name].wait()


async def settle() -> None:
    """Let everything that can run now run, without any time passing."""
    for _ in range(20):
        await asyncio.sleep(0)
