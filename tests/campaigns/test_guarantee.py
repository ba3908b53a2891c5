"""Each premise of the promise in docs/guarantee.md, kept and broken.

The workspace here is its own, a list of calls and what is true of them; it shares no code with the
library. Each world is run twice: as the premise has it, and with the premise broken, which has to
show calls above the ceiling, or above what a trunk takes. A premise that could be broken without
harm would be no premise.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callguard import Gate, Lane, Limits, NoHeadroom, Snapshot, Trunk
from callguard.stamps import ProviderClock
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import opened

LIMIT = 5
RING_LIMIT = 30.0
LAG = 2.0

AHEAD = 1000.0
"""Seconds by which the provider's clock is ahead of the loop's."""


@dataclass
class Call:
    placed_at: float
    rings: float = 0.0
    ended_at: float = float("inf")


@dataclass
class Workspace(ScriptedSource):
    """Calls, and a counter that shows them `late` seconds after they were placed or answered."""

    late: float = 1.0
    counts_ringing: bool = True
    limit: int = LIMIT
    reserved: int = 0
    calls: list[Call] = field(default_factory=list)
    peak: int = 0
    asked: list[float] = field(default_factory=list)
    clock: ProviderClock = field(default_factory=ProviderClock)

    def place(self, rings: float = 0.0) -> Call:
        call = Call(_now(), rings)
        self.calls.append(call)
        self.peak = max(self.peak, self.going)
        return call

    @property
    def going(self) -> int:
        return sum(call.placed_at <= _now() < call.ended_at for call in self.calls)

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        at = _now()
        self.asked.append(at)
        counted = self.counted(at - self.late)
        self.clock.dated(float(math.floor(at + AHEAD)), at, at)
        limits = Limits(counted, self.limit, reserved_inbound_concurrency=self.reserved)
        return Snapshot(limits, at, at)

    def counted(self, at: float) -> int:
        return sum(
            call.placed_at + (0.0 if self.counts_ringing else call.rings) <= at < call.ended_at
            for call in self.calls
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _dial(
    gate: Gate, workspace: Workspace, rings: float = 0.0, trunk: str = "default"
) -> None:
    async with gate.admit(trunk=trunk, timeout=120.0) as permit:
        call = workspace.place(rings)
        permit.placed()
    await asyncio.sleep(rings + 200.0)
    call.ended_at = _now()


async def _crowd(
    gate: Gate,
    workspace: Workspace,
    number: int,
    rings: float = 0.0,
    trunk: str = "default",
) -> None:
    dials = [_dial(gate, workspace, rings, trunk) for _ in range(number)]
    await asyncio.gather(*dials, return_exceptions=True)


async def _one_gate(broken: bool) -> int:
    """Two gates with a ledger of their own, in the place of one."""
    workspace = Workspace()
    async with AsyncExitStack() as stack:
        gates = [
            await stack.enter_async_context(opened(workspace, ttl=1.0))
            for _ in range(2 if broken else 1)
        ]
        await asyncio.gather(*(_crowd(gate, workspace, 8) for gate in gates))
    return workspace.peak


async def _counter_no_later_than_said(broken: bool) -> int:
    """A counter that is 10 s late, said to be 2 s late."""
    workspace = Workspace(late=10.0 if broken else 1.0)
    async with opened(workspace, counted_after=LAG, counter_lag=LAG) as gate:
        await _crowd(gate, workspace, 12)
    return workspace.peak


async def _rings_no_longer_than_said(broken: bool) -> int:
    """Calls that ring for 90 s where 30 s were said, in a workspace that doesn't count them."""
    workspace = Workspace(counts_ringing=False)
    async with opened(workspace, counted_after=RING_LIMIT + LAG, counter_lag=LAG) as gate:
        await _crowd(gate, workspace, 12, rings=90.0 if broken else 25.0)
    return workspace.peak


async def _counts_ringing_is_true(broken: bool) -> int:
    """`counts_ringing=True` for a workspace that doesn't count them."""
    workspace = Workspace(counts_ringing=not broken)
    async with opened(workspace, counted_after=LAG, counter_lag=LAG) as gate:
        await _crowd(gate, workspace, 12, rings=25.0)
    return workspace.peak


async def _others_stay_within_the_reserve(broken: bool) -> int:
    """Two calls by others between two readings, and a reserve for one or for two."""
    workspace = Workspace(late=0.0)
    lane = Lane("default", reserve=1 if broken else 2, default=True)
    async with opened(workspace, lane, ttl=1.0, counted_after=0.0, counter_lag=0.0) as gate:
        workspace.place()
        workspace.place()
        await _crowd(gate, workspace, 12)
    return workspace.peak


async def _nobody_calls_in_step(broken: bool) -> int:
    """Somebody calls and hangs up as own calls begin and cease to ring, until that is believed.

    The workspace doesn't count ringing, and the gate isn't told. The peak is of the time when that
    is over, and only own calls go on.
    """
    workspace = Workspace(counts_ringing=False)
    over = 1200.0

    async def dial_on(gate: Gate, rings: float) -> None:
        while _now() < over + 120.0:
            async with gate.admit() as permit:
                call = workspace.place(rings)
                permit.placed(call_id := f"call_{len(workspace.calls)}")
            if broken and _now() < over:
                workspace.calls.append(Call(_now(), ended_at=_now() + rings))
            await asyncio.sleep(rings)
            gate.note_answered(call_id)
            await asyncio.sleep(20.0)
            call.ended_at = _now()
            gate.note_ended(call_id)

    async with opened(
        workspace, counted_after=RING_LIMIT + LAG, counter_lag=LAG, learns=True
    ) as gate:
        callers = [asyncio.create_task(dial_on(gate, 10.0 + number)) for number in range(12)]
        await asyncio.sleep(over + 30.0)
        workspace.peak = workspace.going
        await asyncio.gather(*callers)
    return workspace.peak


async def _what_others_add_is_inbound(broken: bool) -> int:
    """Two calls by others, inbound or not, where two more slots are reserved for inbound calls."""
    workspace = Workspace(late=0.0, limit=LIMIT + 2, reserved=2)
    async with opened(workspace, counted_after=0.0, counter_lag=0.0, inbound_apart=True) as gate:
        workspace.place()
        workspace.place()
        await asyncio.sleep(1.5)
        await _crowd(gate, workspace, 12)
    return workspace.peak if broken else workspace.peak - 2


async def _what_is_said_is_true(broken: bool) -> int:
    """`permit.cancel()`, "I did not dial", of calls that were dialled."""
    workspace = Workspace(late=LAG)
    async with opened(workspace) as gate:
        for _ in range(LIMIT + 3):
            try:
                async with gate.admit(timeout=0.5) as permit:
                    workspace.place()
                    if broken:
                        permit.cancel()
            except TimeoutError:
                break
    return workspace.peak


async def _no_call_lasts_longer_than_said(broken: bool) -> int:
    """Calls of 200 s on a trunk that takes five, said to be over after 50 s, and nobody tells.

    The workspace has room for all, so only the trunk is in the way.
    """
    workspace = Workspace(limit=100)
    trunk = Trunk("five", cps=None, calls=LIMIT, longest_call=50.0 if broken else 250.0)
    async with opened(workspace, trunks=[trunk]) as gate:
        await _crowd(gate, workspace, 12, trunk=trunk.name)
    return workspace.peak


@asynccontextmanager
async def _full(workspace: Workspace) -> AsyncIterator[Gate]:
    """A gate whose ended calls make room at once, and whose calls snapshots have counted for long.

    The answers said the time often enough to know the provider's clock almost exactly.
    """
    async with opened(
        workspace,
        counted_after=LAG,
        counter_lag=LAG,
        ends_free=True,
        clock=workspace.clock,
    ) as gate:
        for number in range(LIMIT):
            async with gate.try_admit() as permit:
                workspace.place()
                permit.placed(f"call_{number}")
        for _ in range(20):
            await asyncio.sleep(0.95)
            await gate._parts.schedule.renew()
        yield gate


async def _dial_what_fits(gate: Gate, workspace: Workspace) -> int:
    """Dial until a call is denied; return how many were not."""
    before = len(workspace.calls)
    with suppress(NoHeadroom):
        while True:
            async with gate.try_admit() as permit:
                workspace.place()
                permit.placed()
    return len(workspace.calls) - before


async def _refused_by_calls_that_go_on(broken: bool) -> int:
    """A provider that refuses by the calls that go on, or by its late counter."""
    workspace = Workspace()
    async with _full(workspace) as gate:
        await asyncio.sleep(2.0)
        workspace.calls[0].ended_at = _now()
        gate.note_ended("call_0", at=AHEAD + _now())
        shown = workspace.counted(_now() - workspace.late)
        dialled = await _dial_what_fits(gate, workspace)
    assert dialled == 1
    return shown + dialled if broken else workspace.peak


async def _others_stay_within_the_reserve_for_long(broken: bool) -> int:
    """Two calls by others in 2 s, one between two readings, and a reserve for one or for two."""
    workspace = Workspace(late=0.0, counts_ringing=False)
    lane = Lane("default", reserve=1 if broken else 2, default=True)
    async with opened(
        workspace, lane, counted_after=RING_LIMIT, counter_lag=0.0, ends_free=True
    ) as gate:
        for _ in range(2):
            async with gate.try_admit() as permit:
                workspace.place(rings=25.0)
                permit.placed()
        for _ in range(2):
            workspace.place()
            await asyncio.sleep(1.0)
            await gate._parts.schedule.renew()
        await _dial_what_fits(gate, workspace)
    return workspace.peak


async def _stamps_are_right(broken: bool) -> int:
    """Ends that are stamped 0.5 s too late, or 1.5 s, by a clock that is so far ahead."""
    workspace = Workspace(late=0.0)
    async with _full(workspace) as gate:
        await asyncio.sleep(0.5)
        workspace.calls[0].ended_at = ended_at = _now()
        await asyncio.sleep(0.5)
        await gate._parts.schedule.renew()
        await asyncio.sleep(1.0)
        await _dial_what_fits(gate, workspace)
        gate.note_ended("call_0", at=AHEAD + ended_at + (1.5 if broken else 0.5))
        await _dial_what_fits(gate, workspace)
    return workspace.peak


async def _what_is_said_to_be_over_is_over(broken: bool) -> int:
    """A webhook that tells of an end, whether or not the call is over."""
    workspace = Workspace()
    async with _full(workspace) as gate:
        await asyncio.sleep(2.0)
        if not broken:
            workspace.calls[0].ended_at = _now()
        gate.note_ended("call_0", at=AHEAD + _now())
        await _dial_what_fits(gate, workspace)
    return workspace.peak


WORLDS: list[Callable[[bool], Coroutine[None, None, int]]] = [
    _one_gate,
    _counter_no_later_than_said,
    _rings_no_longer_than_said,
    _counts_ringing_is_true,
    _others_stay_within_the_reserve,
    _nobody_calls_in_step,
    _what_others_add_is_inbound,
    _what_is_said_is_true,
    _no_call_lasts_longer_than_said,
    _refused_by_calls_that_go_on,
    _others_stay_within_the_reserve_for_long,
    _stamps_are_right,
    _what_is_said_to_be_over_is_over,
]


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__.strip("_"))
def test_the_premise_kept_keeps_the_promise(
    world: Callable[[bool], Coroutine[None, None, int]],
) -> None:
    """The count would pass the ceiling though everything that was asked for holds."""
    assert run(world(False)) <= LIMIT


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__.strip("_"))
def test_the_premise_broken_breaks_it(world: Callable[[bool], Coroutine[None, None, int]]) -> None:
    """The page would ask its readers for what isn't needed."""
    assert run(world(True)) > LIMIT


def test_the_page_names_every_world() -> None:
    """The page would claim a proof that isn't there, or keep one to itself."""
    page = Path(__file__).parents[2].joinpath("docs", "guarantee.md").read_text("utf-8")
    assert all(f"`{world.__name__.strip('_')}`" in page for world in WORLDS)
