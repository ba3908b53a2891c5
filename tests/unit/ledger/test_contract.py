"""What a user sees of a gate, whichever contents it goes by: one suite over all ledgers.

The ledger on a server are a real server's, so time is real. Each time is short where the test is
about it, and else longer than any test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import pytest

from callguard import (
    AdmissionTimeout,
    Gate,
    GateClosed,
    GateDraining,
    Lane,
    LimitFetcher,
    LimitsRejected,
    LimitsUnavailable,
    Listener,
    NoHeadroom,
    Permit,
    QueueFull,
    RedisLedger,
    Snapshot,
    Trunk,
    Usage,
    UsageError,
)
from callguard.events import (
    Admitted,
    Cancelled,
    Ended,
    Event,
    LeftQueue,
    LimitsChanged,
    OutageBegan,
    OutageEnded,
    Placed,
    Queued,
    ReadingFailed,
    ReadingTaken,
    Refused,
    TimedOut,
)
from callguard.gate.assembly import Parts, assemble
from callguard.gate.refusal import Judge
from callguard.gate.sharing import assembled_among_many
from callguard.lanes import DEFAULT_LANE
from callguard.ledger import MemoryLedger, Times, workspace_hash
from callguard.tasks import begin
from callguard.testing import ScriptedSource
from tests.support.client_errors import error_of
from tests.unit.gate.support import PROVIDER, Crowd, Refusal, gate_of, settle

E = TypeVar("E")

NEVER = 1000.0
"""Seconds: longer than any test."""

PATIENCE = 20.0
"""Seconds after which a test is given up: something never came to hold."""

SOON = 0.03
"""Seconds: longer than an exchange with a server, and short to wait for."""

TIMES = Times(
    counted_after=NEVER, counter_lag=NEVER, ttl=NEVER, min_interval=0.0, max_age=2 * NEVER
)


class Counter(ScriptedSource):
    """A counter that answers as the test says, of a workspace that is the test's own."""

    def __init__(self, workspace: str) -> None:
        super().__init__(limit=3)
        self.workspace = workspace
        self.held: asyncio.Event | None = None

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        snapshot = await super().get(newer_than=newer_than)
        if self.held is not None:
            await self.held.wait()
        return replace(snapshot, received=asyncio.get_running_loop().time())


class Open(Protocol):
    """Opens a gate."""

    def __call__(
        self,
        *lanes: Lane,
        listener: Listener | None = None,
        trunks: Sequence[Trunk] = (),
        **times: float,
    ) -> AbstractAsyncContextManager[Gate]: ...


@pytest.fixture
def counter(workspace_key: str) -> Counter:
    return Counter(workspace_key)


@pytest.fixture(params=["memory", "redis"])
def open_gate(request: pytest.FixtureRequest, counter: Counter, no_grace: None) -> Open:
    """Opens gates on one ledger, whose readings come from `counter`."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None

    @asynccontextmanager
    async def opened(
        *lanes: Lane,
        listener: Listener | None = None,
        trunks: Sequence[Trunk] = (),
        **times: Any,
    ) -> AsyncIterator[Gate]:
        lasting = TIMES._replace(**times)
        make = partial(
            assemble,
            lanes=_with_default(lanes),
            trunks=trunks,
            times=lasting,
            judge=Judge(PROVIDER),
            listeners=() if listener is None else (listener,),
        )
        async with (
            asyncio.timeout(PATIENCE),
            _made(make, counter, lasting, url, trunks) as parts,
            gate_of(parts) as gate,
        ):
            yield gate

    return opened


def _with_default(lanes: tuple[Lane, ...]) -> tuple[Lane, ...]:
    has_default = any(lane.default for lane in lanes)
    return lanes if has_default else (*lanes, DEFAULT_LANE)


@asynccontextmanager
async def _made(
    make: Callable[..., Parts],
    counter: Counter,
    times: Times,
    url: str | None,
    trunks: Sequence[Trunk],
) -> AsyncIterator[Parts]:
    if url is None:
        yield make(
            counter, MemoryLedger(times, trunks), workspace=workspace_hash(counter.workspace)
        )
        return
    fetcher = cast("LimitFetcher", counter)
    async with RedisLedger.from_url(url) as ledger:
        async with assembled_among_many(
            make, fetcher, counter.workspace, times, ledger, trunks
        ) as parts:
            yield parts


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes to hold within milliseconds on a machine with nothing else to do."""
    while not holds():  # noqa: ASYNC110, it may be the server that changes something
        await asyncio.sleep(0.001)


async def heard(gate: Gate) -> None:
    """Wait until the ledger has heard of all that has happened, and have answered."""
    for _ in range(2):
        await settle()
        if gate._parts.admissions._consult is not None:
            await gate._parts.admissions._consult()
    await settle()


async def held(gate: Gate) -> tuple[int, int]:
    """How many permits are dialling, and how many placed calls are uncounted."""
    await heard(gate)
    usage = gate.statistics().usage
    return usage.dialling, usage.uncounted


@asynccontextmanager
async def crowd_at(gate: Gate) -> AsyncIterator[Crowd]:
    crowd = Crowd(gate)
    try:
        yield crowd
    finally:
        await crowd.disperse()


async def come(crowd: Crowd, name: str) -> None:
    """Wait until a caller is in."""
    await until(lambda: name in crowd.arrived)


async def arrive(crowd: Crowd, *names: str) -> None:
    """Send callers in this order, and wait until they are in."""
    for name in names:
        crowd.send(name)
        await come(crowd, name)


# The law of accounting ---------------------------------------------------------------------------


async def test_usage_is_what_is_reported_and_dialling_and_uncounted(
    open_gate: Open, counter: Counter
) -> None:
    """One of the three parts would be missing from the sum, or be counted twice."""
    counter.answer(limit=10, current=3)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b", "c")
        crowd.permits["a"].placed("call_a")
        await heard(gate)
        statistics = gate.statistics()
        assert statistics.usage == Usage(3, 2, 1)
        assert statistics.headroom["default"] == 4
        assert statistics.admitted == 3


@pytest.mark.parametrize(("limit", "current", "arrived"), [(3, 1, 2), (3, 3, 0), (3, 5, 0)])
async def test_as_many_go_in_as_fit_and_no_more(
    open_gate: Open, counter: Counter, limit: int, current: int, arrived: int
) -> None:
    """Callers at once would overshoot, or waste slots."""
    counter.answer(limit, current)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        crowd.send(*"abcde")
        await heard(gate)
        assert crowd.arrived == list("abcde")[:arrived]
        decision = gate.explain()
        assert (decision.admitted, decision.constraint) == (False, "limit")


async def test_an_unknown_count_lets_nobody_in(open_gate: Open, counter: Counter) -> None:
    """A counter that can't be reached would be read as one that shows no calls."""
    counter.error = LimitsUnavailable("away")
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        crowd.send("a")
        await until(lambda: len(counter.asked) > 2)
        assert crowd.arrived == []
        assert gate.statistics().usage.total is None
        assert gate.explain().constraint == "no snapshot"
        counter.answer(limit=1)
        await until(lambda: crowd.arrived == ["a"])


async def leave_well() -> None:
    """Nothing goes wrong."""


async def fail() -> None:
    raise ValueError("after the dial, or before it")


async def time_out() -> None:
    raise TimeoutError


async def be_cancelled() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def be_refused() -> None:
    raise Refusal


async def be_answered_definitely() -> None:
    raise error_of("httpx", 422, f"{PROVIDER}/v2/create-phone-call")


@pytest.mark.parametrize(
    ("leave", "uncounted"),
    [
        (leave_well, 1),
        (fail, 1),
        (time_out, 1),
        (be_cancelled, 1),
        (be_refused, 0),
        (be_answered_definitely, 0),
    ],
)
async def test_leaving_the_block_means_placed_unless_refused(
    open_gate: Open, leave: Callable[[], Any], uncounted: int
) -> None:
    """A dial that was cut off may have reached the provider, and would not be counted."""
    async with open_gate() as gate:

        async def visit() -> None:
            async with gate.admit():
                await leave()

        await asyncio.wait([asyncio.create_task(visit())])
        assert await held(gate) == (0, uncounted)


@pytest.mark.parametrize("end", ["cancel", "ended"])
@pytest.mark.parametrize("after_the_block", [False, True])
async def test_a_slot_that_is_given_back_goes_to_the_next_in_the_queue(
    open_gate: Open, counter: Counter, end: str, after_the_block: bool
) -> None:
    """A slot would stay taken by a call that never was, or is over."""
    counter.answer(limit=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        async with gate.admit() as permit:
            crowd.send("next")
            if not after_the_block:
                getattr(permit, end)()
        if after_the_block:
            assert await held(gate) == (0, 1)
            getattr(permit, end)()
        await until(lambda: crowd.arrived == ["next"])
        assert await held(gate) == (1, 0)


async def test_what_is_said_of_a_permit_twice_counts_once(
    open_gate: Open, counter: Counter
) -> None:
    """Telling twice what happened to a call would free a slot that another has."""
    counter.answer(limit=5)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b", "c", "d")
        for say in ("placed", "answered", "cancel"):
            for _ in range(2):
                getattr(crowd.permits["a"], say)()
        for _ in range(2):
            crowd.permits["b"].cancel()
            crowd.permits["c"].ended()
            crowd.permits["d"].refused()
        assert await held(gate) == (0, 1)


@pytest.mark.parametrize("word", ["cancel", "refused"])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("after_the_block", [False, True])
async def test_a_permit_that_was_given_back_and_placed_after_all_counts_again(
    open_gate: Open, at_once: bool, after_the_block: bool, word: str
) -> None:
    """A call that goes on would not be counted."""
    async with open_gate() as gate:
        async with gate.admit() as permit:
            if not after_the_block:
                getattr(permit, word)()
        if after_the_block:
            getattr(permit, word)()
        if not at_once:
            assert await held(gate) == (0, 0)
        permit.placed("call_1")
        assert await held(gate) == (0, 1)
        gate.note_ended("call_1")
        assert await held(gate) == (0, 0)


@pytest.mark.parametrize("first_ends", [True, False])
async def test_a_permit_keeps_to_its_first_call(open_gate: Open, first_ends: bool) -> None:
    """The end of a call that is said to be another's would give the slot of  live one away."""
    async with open_gate() as gate:
        async with gate.admit() as permit:
            permit.placed("call_1")
            with pytest.raises(UsageError, match=r"'call_1'.* 'call_2'"):
                permit.placed("call_2")
        assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]
        gate.note_ended("call_1" if first_ends else "call_2")
        assert await held(gate) == (0, 0 if first_ends else 1)


# Readings and what they absorb -------------------------------------------------------------------


async def test_a_call_is_seen_by_a_reading_that_began_when_it_was_surely_visible(
    open_gate: Open, counter: Counter
) -> None:
    """A call would be dropped before the counter shows it, or be kept for ever."""
    counter.answer(limit=1)
    async with open_gate(ttl=SOON, counted_after=0.1) as gate, crowd_at(gate) as crowd:
        async with gate.admit() as permit:
            placed_at = asyncio.get_running_loop().time()
            permit.placed()
        crowd.send("next")
        await until(lambda: crowd.arrived == ["next"])
        assert counter.asked[-1] - placed_at > 0.099  # uvloop's clock shows whole milliseconds


@pytest.mark.parametrize("how", ["permit", "note", "note before the dial returned"])
async def test_a_call_that_was_answered_is_seen_sooner(
    open_gate: Open, counter: Counter, how: str
) -> None:
    """Evidence that a call was answered would not shorten its wait, and the provider be asked
    about it again and again."""
    counter.answer(limit=1)
    async with open_gate(ttl=SOON, counter_lag=0.1) as gate, crowd_at(gate) as crowd:
        async with gate.admit() as permit:
            answered_at = asyncio.get_running_loop().time()
            if how == "note before the dial returned":
                gate.note_answered("call_1")
                await heard(gate)
            permit.placed("call_1")
            if how == "permit":
                permit.answered()
            elif how == "note":
                gate.note_answered("call_1")
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]
        crowd.send("next")
        await until(lambda: crowd.arrived == ["next"])
        assert counter.asked[-1] - answered_at > 0.099
        crowd.send("who wants readings")  # a worker that heard late goes by the next one
        await until(lambda: not list(gate._parts.ledger.uncounted_calls()))


async def test_no_reading_absorbs_a_call_that_is_not_surely_visible(
    open_gate: Open, counter: Counter
) -> None:
    """A call that rings would be forgotten by a counter that doesn't count it yet."""
    counter.answer(limit=2)
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "dialling", "placed")
        crowd.permits["placed"].placed()
        crowd.send("next")
        before = len(counter.asked)
        await until(lambda: len(counter.asked) > before + 3)
        assert crowd.arrived == ["dialling", "placed"]
        assert await held(gate) == (1, 1)


async def test_a_reading_under_way_while_a_call_is_placed_says_nothing_of_it(
    open_gate: Open, counter: Counter
) -> None:
    """A slow answer would absorb a call that it can't have counted."""
    counter.answer(limit=2)
    async with open_gate(ttl=SOON, counted_after=0.0) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b")
        counter.held = asyncio.Event()
        crowd.send("next")
        before = len(counter.asked)
        await until(lambda: len(counter.asked) > before)
        crowd.permits["a"].placed()
        await heard(gate)
        taken = gate.statistics().readings["taken"]
        counter.held.set()
        counter.held = asyncio.Event()

        def was_taken() -> bool:
            # Else another follows: a shared ledger distrusts one in which a clock stood still.
            return gate.statistics().readings["taken"] > taken or len(counter.asked) > before + 1

        await until(was_taken)
        assert await held(gate) == (1, 1)
        assert crowd.arrived == ["a", "b"]
        counter.held.set()
        await until(lambda: crowd.arrived == ["a", "b", "next"])


async def test_while_somebody_waits_readings_come_once_a_ttl_and_else_not_at_all(
    open_gate: Open, counter: Counter
) -> None:
    """The provider would be asked for nothing, or would be asked too often."""
    ttl = 0.1
    counter.answer(limit=0)
    began = asyncio.get_running_loop().time()
    async with open_gate(ttl=ttl) as gate:
        async with crowd_at(gate) as crowd:
            crowd.send(*"abcdefgh")
            await until(lambda: len(counter.asked) > 3)
        # Each may be late, on a busy machine, but none comes before its turn.
        assert counter.asked[3] - began > 2.5 * ttl
        await heard(gate)
        before = len(counter.asked)
        await asyncio.sleep(3 * ttl)
        assert len(counter.asked) <= before + 1


async def test_evidence_brings_the_next_reading_forward(open_gate: Open, counter: Counter) -> None:
    """A slot that is free would stay empty until the next reading is due."""
    counter.answer(limit=1, current=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        crowd.send("a")
        await heard(gate)
        assert len(counter.asked) == 1
        counter.answer(limit=1, current=0)
        gate.note_ended("call_of_others")
        await until(lambda: crowd.arrived == ["a"])


async def test_what_changes_while_a_reading_is_under_way_brings_another_soon(
    open_gate: Open, counter: Counter
) -> None:
    """A reading that may not show the change would be the last for a whole interval."""
    counter.answer(limit=1, current=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        counter.held = asyncio.Event()
        gate.note_ended("call_of_others")
        crowd.send("a")
        await until(lambda: len(counter.asked) == 2)
        counter.answer(limit=1, current=0)
        gate.note_ended("another_call_of_others")
        await heard(gate)
        counter.held.set()
        await until(lambda: crowd.arrived == ["a"])


async def test_a_reading_that_can_not_be_renewed_authorises_a_finite_number_of_calls(
    open_gate: Open, counter: Counter
) -> None:
    """An outage of the counter would let calls in for ever."""
    counter.answer(limit=5, current=2)
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        counter.error = LimitsUnavailable("away")
        crowd.send(*"abcde")
        before = len(counter.asked)
        await until(lambda: len(counter.asked) > before + 2)
        for name in crowd.arrived:
            crowd.permits[name].placed()
        await heard(gate)
        assert crowd.arrived == ["a", "b", "c"]


async def test_a_reading_past_its_age_lets_nobody_in(open_gate: Open, counter: Counter) -> None:
    """Calls would be admitted on a count that is long out of date."""
    async with open_gate(ttl=0.1, max_age=0.1) as gate, crowd_at(gate) as crowd:
        counter.error = LimitsUnavailable("away")
        await until(lambda: (gate.statistics().snapshot_age or 0.0) > 0.1 + SOON)
        assert gate.explain().constraint == "snapshot too old"
        crowd.send("a")
        with pytest.raises(LimitsUnavailable, match=r"older than 0\.1 s"):
            async with gate.try_admit():
                pass
        await heard(gate)
        assert crowd.arrived == []
        counter.answer(limit=1)
        await until(lambda: crowd.arrived == ["a"])


@pytest.mark.parametrize("how", ["the dial", "the caller", "the caller, later", "evidence"])
async def test_a_refusal_spends_the_reading(open_gate: Open, counter: Counter, how: str) -> None:
    """Calls would be admitted on a count that the provider has just contradicted."""
    counter.answer(limit=5)
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        counter.held = asyncio.Event()
        if how == "evidence":
            gate.note_ended("call_1", refused=True)
        elif how.startswith("the caller"):
            async with gate.admit() as permit:
                if how == "the caller":
                    permit.refused()
            permit.refused()
        else:
            with pytest.raises(Refusal):
                async with gate.admit():
                    raise Refusal
        assert gate.explain().constraint == "snapshot spent"
        crowd.send("a")
        await heard(gate)
        assert crowd.arrived == []
        assert gate.statistics().usage.total == 0
        counter.held.set()
        await until(lambda: crowd.arrived == ["a"])
        assert gate.statistics().refused == 1


async def test_a_limit_that_is_lowered_and_raised_lets_in_no_more_than_fit(
    open_gate: Open, counter: Counter
) -> None:
    """Waking by how much the limit rose, not by what fits, would overshoot."""
    counter.answer(limit=4)
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b", "c", "d")
        crowd.send(*"efgh")
        counter.answer(limit=2)
        await until(lambda: gate.statistics().headroom["default"] == -2)
        crowd.dismiss("ab")
        counter.answer(limit=5)
        await until(lambda: len(crowd.arrived) == 7)
        before = len(counter.asked)
        await until(lambda: len(counter.asked) > before + 1)
        assert crowd.arrived == list("abcdefg")


async def test_a_key_that_is_refused_fails_who_waits(open_gate: Open, counter: Counter) -> None:
    """Callers would wait for ever for what can't come."""
    counter.answer(limit=0)
    async with open_gate(ttl=SOON) as gate, crowd_at(gate) as crowd:
        crowd.send("a")
        await heard(gate)
        counter.error = LimitsRejected("no such key", 401)
        with pytest.raises(LimitsRejected):
            await crowd.task("a")


# Ceilings and lanes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lane", "arrived", "tiers"),
    [
        (Lane("default", default=True), 8, {"normal"}),
        (Lane("default", reserve=3, default=True), 5, {"normal"}),
        (Lane("default", burst=2, default=True), 10, {"normal", "burst"}),
        (Lane("default", burst="all", default=True), 13, {"normal", "burst"}),
        (Lane("default", burst="all", reserve=10, default=True), 3, {"normal"}),
        (Lane("default", burst=3, reserve=2, default=True), 9, {"normal", "burst"}),
    ],
    ids=["plain", "reserve", "some burst", "all burst", "burst within the reserve", "beyond it"],
)
async def test_how_far_each_lane_may_go(
    open_gate: Open, counter: Counter, lane: Lane, arrived: int, tiers: set[str]
) -> None:
    """A lane would go above its ceiling, or stop below it; 10 less 2 for inbound, or 15, here."""
    counter.answer(limit=10, burst_limit=15, reserved_inbound=2)
    async with open_gate(lane) as gate, crowd_at(gate) as crowd:
        crowd.send(*"abcdefghijklmnop")
        await heard(gate)
        assert len(crowd.arrived) == arrived
        told = [permit.tier for permit in crowd.permits.values()]
        assert set(told) == tiers
        assert told.count("burst") == max(0, arrived - 8)
        assert gate.statistics().headroom["default"] == 0


@pytest.mark.parametrize(
    ("x", "y", "queued", "admitted"),
    [
        (0, 0, "x1 x2 x3 x4", "x1 x2 x3 x4"),
        (0, 0, "x1 y1 x2 y2", "x1 y1 x2 y2"),
        (5, -1, "x1 x2 y1 y2", "y1 y2 x1 x2"),
    ],
    ids=["first come, first served", "equal lanes take turns", "the higher lane first"],
)
async def test_who_goes_first(
    open_gate: Open, counter: Counter, x: int, y: int, queued: str, admitted: str
) -> None:
    """Callers would be overtaken, urgent ones wait behind the bulk, or equal lanes starve."""
    counter.answer(limit=1)
    lanes = Lane("x", priority=x), Lane("y", priority=y)
    async with open_gate(*lanes) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "holder")
        for name in queued.split():
            crowd.send(name, lane=name[0])
            await heard(gate)
        for name in ("holder", *admitted.split()):
            await come(crowd, name)
            crowd.dismiss([name])
        assert crowd.arrived == ["holder", *admitted.split()]


async def test_a_lane_that_can_not_go_holds_up_nobody(open_gate: Open, counter: Counter) -> None:
    """A careful lane of high priority would keep all others waiting."""
    counter.answer(limit=5)
    lanes = Lane("careful", priority=-1, reserve=4)
    async with open_gate(lanes) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a")
        crowd.send("careful", lane="careful")
        await heard(gate)
        assert gate.explain("careful").constraint == "reserve"
        await arrive(crowd, "b", "c", "d", "e")
        crowd.dismiss("abcd")
        await heard(gate)
        assert "careful" not in crowd.arrived
        crowd.dismiss("e")
        await until(lambda: "careful" in crowd.arrived)


# Not waiting, and leaving the queue --------------------------------------------------------------


async def test_who_does_not_want_to_wait_is_let_in_or_told_why_not(
    open_gate: Open, counter: Counter
) -> None:
    """`try_admit` would wait in the queue, or refuse where there is room."""
    counter.answer(limit=1)
    async with open_gate() as gate:
        async with gate.try_admit() as permit:
            assert permit.tier == "normal"
            assert not permit.lost
            with pytest.raises(NoHeadroom, match="1 of 1 in use") as refused:
                async with gate.try_admit():
                    pass
            permit.cancel()
        assert refused.value.retry_after == pytest.approx(NEVER, rel=0.1)
        assert gate.statistics().waiting["default"] == 0
        async with gate.try_admit():
            assert await held(gate) == (1, 0)


async def test_who_does_not_want_to_wait_still_gets_a_reading_that_is_due(
    open_gate: Open, counter: Counter
) -> None:
    """A gate where nobody waits in the queue would refuse on an old count for ever."""
    counter.answer(limit=1, current=1)
    async with open_gate(ttl=SOON) as gate:
        counter.answer(limit=1, current=0)
        await until(lambda: (gate.statistics().snapshot_age or 0.0) > 2 * SOON)
        async with gate.try_admit():
            assert len(counter.asked) > 1


async def test_a_newcomer_does_not_overtake_at_the_moment_a_slot_is_given_back(
    open_gate: Open, counter: Counter
) -> None:
    """Someone who just arrives would take the slot that belongs to the first in the queue."""
    counter.answer(limit=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "holder")
        crowd.send("waiter")
        await heard(gate)
        crowd.dismiss(["holder"])
        with pytest.raises(NoHeadroom):
            async with gate.try_admit():
                pass
        await until(lambda: crowd.arrived == ["holder", "waiter"])


async def test_a_queue_that_is_full_takes_nobody_more(open_gate: Open, counter: Counter) -> None:
    """A bound on the queue would not hold, or would outlast the queue."""
    counter.answer(limit=1)
    async with (
        open_gate(Lane("default", max_waiting=1, default=True)) as gate,
        crowd_at(gate) as crowd,
    ):
        await arrive(crowd, "holder")
        crowd.send("waiter")
        await heard(gate)
        with pytest.raises(QueueFull):
            async with gate.admit():
                pass
        crowd.dismiss(["holder"])
        await until(lambda: "waiter" in crowd.arrived)
        crowd.send("next")
        await heard(gate)
        assert gate.statistics().waiting["default"] == 1


@pytest.mark.parametrize("cancelled", [["a"], ["b"], ["a", "b"]])
async def test_who_was_cancelled_fills_no_queue(
    open_gate: Open, counter: Counter, cancelled: list[str]
) -> None:
    """A caller would be turned away from a queue in which nobody waits any more."""
    counter.answer(limit=1)
    async with (
        open_gate(Lane("default", max_waiting=2, default=True)) as gate,
        crowd_at(gate) as crowd,
    ):
        await arrive(crowd, "holder")
        crowd.send("a", "b")
        await heard(gate)
        # It comes while those who are cancelled stand there still, under every task factory.
        newcomer = begin(gate.admit().__aenter__(), "newcomer")
        for name in cancelled:
            crowd.task(name).cancel()
        await heard(gate)
        assert gate.statistics().waiting["default"] == 3 - len(cancelled)
        assert not newcomer.done()
        if len(cancelled) == 1:
            with pytest.raises(QueueFull):
                async with gate.admit():
                    pass
        newcomer.cancel()
        await asyncio.wait([newcomer])


@pytest.mark.parametrize(("timeout", "max_wait"), [(0.0, None), (SOON, None), (None, SOON)])
async def test_who_has_waited_long_enough_leaves_nothing_behind(
    open_gate: Open, counter: Counter, timeout: float | None, max_wait: float | None
) -> None:
    """A caller whose time is up would keep its place in the queue, or take a free slot."""
    counter.answer(limit=1)
    async with (
        open_gate(Lane("default", max_wait=max_wait, default=True)) as gate,
        crowd_at(gate) as crowd,
    ):
        await arrive(crowd, "holder")
        with pytest.raises(AdmissionTimeout, match="1 of 1 in use"):
            async with gate.admit(timeout=timeout):
                pass
        statistics = gate.statistics()
        assert (statistics.waiting["default"], statistics.timed_out) == (0, 1)
        crowd.dismiss(["holder"])
        assert await held(gate) == (0, 0)


async def test_a_caller_that_is_cancelled_in_the_queue_leaves_nothing_behind(
    open_gate: Open, counter: Counter
) -> None:
    """A slot would be kept for a caller that is gone."""
    counter.answer(limit=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "holder")
        crowd.send("victim", "next")
        await heard(gate)
        crowd.task("victim").cancel()
        crowd.dismiss(["holder"])
        await until(lambda: crowd.arrived == ["holder", "next"])
        assert await held(gate) == (1, 0)


async def test_a_slot_granted_to_a_caller_cancelled_at_that_instant_goes_to_the_next(
    open_gate: Open, counter: Counter
) -> None:
    """A granted waiter that is cancelled before it runs would keep the slot for good."""
    counter.answer(limit=1)
    admitted: list[Event] = []

    def cancel_the_second(event: Event) -> None:
        if isinstance(event, Admitted):
            admitted.append(event)
            if len(admitted) == 2:
                crowd.task("victim").cancel()

    async with open_gate(listener=cancel_the_second) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "holder")
        crowd.send("victim", "next")
        await heard(gate)
        crowd.dismiss(["holder"])
        await until(lambda: crowd.arrived == ["holder", "next"])
        assert crowd.task("victim").cancelled()
        assert await held(gate) == (1, 0)


async def test_closing_the_gate_fails_who_waits_and_lets_go_of_nobody_else(
    open_gate: Open, counter: Counter
) -> None:
    """Callers would wait for ever at a gate that is gone, or its calls would be forgotten."""
    counter.answer(limit=2)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b")
        crowd.permits["a"].placed()
        crowd.send("waiter")
        await heard(gate)
        await gate.aclose()
        with pytest.raises(GateClosed, match="closed while this caller waited"):
            await crowd.task("waiter")
        with pytest.raises(GateClosed, match="is closed"):
            gate.explain()
        await settle()
        statistics = gate.statistics()
        assert (statistics.waiting["default"], statistics.usage) == (0, Usage(0, 1, 1))


async def test_draining_lets_nobody_in_and_waits_for_the_calls_that_go_on(
    open_gate: Open, counter: Counter
) -> None:
    """A worker that stops would dial on, or leave before its calls are in the count."""
    counter.answer(limit=2)
    async with (
        open_gate(counted_after=0.2, counter_lag=0.2, ttl=SOON) as gate,
        crowd_at(gate) as crowd,
    ):
        await arrive(crowd, "placed", "dialling")
        crowd.permits["placed"].placed()
        crowd.send("waiter")
        await heard(gate)
        draining = asyncio.create_task(gate.drain())
        with pytest.raises(GateDraining, match="began to drain"):
            await crowd.task("waiter")
        with pytest.raises(GateDraining, match="is draining"):
            await gate.place(lambda _: settle())
        await until(lambda: gate.statistics().usage.uncounted == 0)
        assert not draining.done()
        crowd.dismiss(["dialling"])
        await draining


# Evidence and dialling ---------------------------------------------------------------------------


@pytest.mark.parametrize("early", [False, True])
async def test_evidence_that_a_call_is_over_frees_its_place(
    open_gate: Open, counter: Counter, early: bool
) -> None:
    """A slot would stay taken by a call that is known to be over."""
    counter.answer(limit=1)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        async with gate.admit() as permit:
            crowd.send("next")
            if early:
                gate.note_answered("call_1")
                gate.note_ended("call_1")
                await heard(gate)
                assert crowd.arrived == []
            permit.placed("call_1")
        if not early:
            gate.note_ended("call_1")
        await until(lambda: crowd.arrived == ["next"])


async def test_a_refused_call_is_dialled_again_on_a_later_reading(
    open_gate: Open, counter: Counter
) -> None:
    """A refused call would be lost, or be dialled again on the count that was wrong."""
    counter.answer(limit=1)
    read_before: list[int] = []

    async def dial(permit: object) -> dict[str, str]:
        read_before.append(len(counter.asked))
        if len(read_before) == 1:
            raise Refusal
        return {"call_id": "call_1"}

    async with open_gate(ttl=SOON) as gate:
        assert await gate.place(dial) == {"call_id": "call_1"}
        first, second = read_before
        assert first < second
        assert await held(gate) == (0, 1)
        gate.note_ended("call_1")
        assert await held(gate) == (0, 0)


async def test_every_permit_has_an_id_of_its_own(open_gate: Open, counter: Counter) -> None:
    """Two calls would share a key, and the provider would place one of them only."""
    counter.answer(limit=4)
    async with open_gate() as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "a", "b")
        crowd.dismiss("ab")
        await arrive(crowd, "c", "d")
        ids = {permit.id for permit in crowd.permits.values()}
        assert len(ids) == 4
        assert all(permit_id.startswith(f"{gate.id}-") for permit_id in ids)


# What is told ------------------------------------------------------------------------------------


class Heard:
    """What a listener heard, as words: the event, and what tells it from another of its kind."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self, *kinds: type[Event]) -> list[str]:
        """The names of the events of these kinds, in their order."""
        return [type(event).__name__ for event in self.events if isinstance(event, kinds)]

    def only(self, kind: type[E]) -> E:
        """The one event of a kind."""
        (found,) = (event for event in self.events if isinstance(event, kind))
        return found


LIFE: tuple[type[Event], ...] = (Admitted, Placed, Ended, Cancelled, Refused)


@pytest.mark.parametrize(
    ("inside", "after", "told"),
    [
        ("", "", "Placed"),
        ("placed", "placed", "Placed"),
        ("placed placed answered", "placed", "Placed"),
        ("answered", "", "Placed"),
        ("cancel", "", "Cancelled"),
        ("cancel cancel", "cancel", "Cancelled"),
        ("", "cancel", "Placed Cancelled"),
        ("cancel", "placed", "Cancelled Placed"),
        ("placed", "cancel", "Placed"),
        ("ended", "", "Placed Ended"),
        ("placed ended ended", "ended cancel", "Placed Ended"),
        ("placed", "ended over over", "Placed Ended"),
        ("placed", "over over ended", "Placed Ended"),
        ("placed over", "over ended", "Placed Ended"),
        ("ended placed", "over", "Placed Ended"),
        ("cancel", "ended", "Cancelled"),
        ("refused", "", "Refused"),
        ("refused refused", "refused ended cancel", "Refused"),
        ("raise", "", "Refused"),
        ("placed", "refused_late refused_late", "Placed Refused"),
        ("placed", "refused_late over ended", "Placed Refused"),
        ("placed", "refused_late refused", "Placed Refused"),
        ("placed refused", "refused_late over", "Placed Refused"),
        ("placed", "over refused_late", "Placed Ended Refused"),
        ("refused", "placed", "Refused Placed"),
    ],
)
async def test_what_becomes_of_a_permit_is_told_once(
    open_gate: Open, counter: Counter, inside: str, after: str, told: str
) -> None:
    """Somebody's counts of calls would be off by those that are told twice, or not at all."""
    heard_of = Heard()
    async with open_gate(listener=heard_of) as gate:

        def say(words: str, permit: Permit) -> None:
            for word in words.split():
                match word:
                    case "placed":
                        permit.placed("call_1")
                    case "over":
                        gate.note_ended("call_1")
                    case "refused_late":
                        gate.note_ended("call_1", refused=True)
                    case "raise":
                        raise Refusal
                    case _:
                        getattr(permit, word)()

        with suppress(Refusal):
            async with gate.admit() as permit:
                say(inside, permit)
        say(after, permit)
        await heard(gate)
        life = [asdict(event) for event in heard_of.events if isinstance(event, LIFE)]
        assert heard_of.kinds(*LIFE) == ["Admitted", *told.split()]
        assert {(event["permit_id"], event["lane"]) for event in life} == {(permit.id, "default")}
        assert gate.statistics().refused == told.split().count("Refused")
        if inside == "raise":
            assert heard_of.only(Refused).status == 429
        if "placed" in inside and "refused_late" in after:
            refusal = heard_of.only(Refused)
            assert (refusal.call_id, refusal.status) == ("call_1", None)


async def test_the_end_of_a_call_that_another_placed_is_told_once(open_gate: Open) -> None:
    """An inbound call would pass for one of this gate's, or each delivery for a call."""
    heard_of = Heard()
    async with open_gate(listener=heard_of) as gate:
        for _ in range(3):
            gate.note_ended("inbound_1")
        await heard(gate)
        ended = heard_of.only(Ended)
        assert (ended.permit_id, ended.lane, ended.call_id) == (None, None, "inbound_1")


QUEUE: tuple[type[Event], ...] = (Queued, Admitted, TimedOut, LeftQueue, Cancelled)


async def test_who_leaves_the_queue_is_told_of_once(open_gate: Open, counter: Counter) -> None:
    """A gauge of the callers in the queue would grow for ever."""
    counter.answer(limit=0)
    heard_of = Heard()
    async with open_gate(listener=heard_of, ttl=SOON) as gate, crowd_at(gate) as crowd:
        crowd.send("cancelled")
        await heard(gate)
        crowd.task("cancelled").cancel()
        await heard(gate)
        left = heard_of.only(LeftQueue)
        assert (left.lane, left.why) == ("default", "cancelled")
        assert 0.0 < left.waited < PATIENCE
        crowd.send("impatient", timeout=SOON)
        await until(lambda: crowd.task("impatient").done())
        await heard(gate)
        assert heard_of.kinds(*QUEUE) == ["Queued", "LeftQueue", "Queued", "TimedOut"]
        heard_of.events.clear()

        crowd.send("a", "b")
        await heard(gate)
        counter.error = LimitsRejected("HTTP 401", 401)
        await until(lambda: crowd.task("a").done() and crowd.task("b").done())
        assert heard_of.kinds(*QUEUE) == ["Queued", "Queued", "LeftQueue", "LeftQueue"]
        assert {event.why for event in heard_of.events if isinstance(event, LeftQueue)} == {
            "rejected"
        }


async def test_who_waits_as_the_gate_closes_is_told_of_once(
    open_gate: Open, counter: Counter
) -> None:
    """The last of a gate's callers would seem to wait for ever."""
    counter.answer(limit=0)
    heard_of = Heard()
    async with open_gate(listener=heard_of) as gate:
        crowd = Crowd(gate)
        crowd.send("a")
        await heard(gate)
    await crowd.disperse()
    assert heard_of.kinds(*QUEUE) == ["Queued", "LeftQueue"]
    assert heard_of.only(LeftQueue).why == "closed"


async def test_who_is_cancelled_as_it_is_let_in_has_not_left_the_queue(
    open_gate: Open, counter: Counter
) -> None:
    """A caller would be taken out of the count of the queue twice."""
    counter.answer(limit=1)
    heard_of = Heard()

    def listen(event: Event) -> None:
        heard_of(event)
        if armed and isinstance(event, Admitted):
            crowd.task("a").cancel()

    armed = False
    async with open_gate(listener=listen) as gate, crowd_at(gate) as crowd:
        await arrive(crowd, "holder")
        heard_of.events.clear()
        crowd.send("a")
        await heard(gate)
        armed = True
        crowd.dismiss(["holder"])
        await until(lambda: crowd.task("a").done())
        await heard(gate)
        assert heard_of.kinds(*QUEUE) == ["Queued", "Cancelled", "Admitted", "Cancelled"]


async def test_who_only_looks_in_is_not_told_of(open_gate: Open, counter: Counter) -> None:
    """Callers that don't wait would be counted among those that do."""
    counter.answer(limit=0)
    heard_of = Heard()
    async with open_gate(listener=heard_of) as gate:
        with pytest.raises(NoHeadroom):
            async with gate.try_admit():
                pass
        await heard(gate)
        assert heard_of.kinds(*QUEUE) == []


READINGS: tuple[type[Event], ...] = (
    ReadingTaken,
    ReadingFailed,
    OutageBegan,
    OutageEnded,
    LimitsChanged,
)


async def test_each_reading_is_told_once_and_so_is_what_it_changes(
    open_gate: Open, counter: Counter
) -> None:
    """Somebody's count of readings, or of outages, would be off."""
    counter.answer(limit=0)
    heard_of = Heard()
    async with open_gate(listener=heard_of, ttl=SOON) as gate, crowd_at(gate) as crowd:
        crowd.send("a")
        await until(lambda: len(counter.asked) > 3)
        counter.error = LimitsUnavailable("HTTP 503")
        await until(lambda: len(heard_of.kinds(ReadingFailed)) > 2)
        counter.answer(limit=1)
        await come(crowd, "a")
        await heard(gate)
        told = heard_of.kinds(*READINGS)
        failed = told.count("ReadingFailed")
        assert told.count("ReadingTaken") == len(counter.asked) - failed
        assert gate.statistics().readings["taken"] == told.count("ReadingTaken")
        assert gate.statistics().readings["unavailable"] == failed
        assert [kind for kind in told if not kind.startswith("Reading")] == [
            "OutageBegan", "LimitsChanged", "OutageEnded"
        ]  # fmt: skip
        first = told.index("ReadingFailed")
        assert told[first : first + 2] == ["ReadingFailed", "OutageBegan"]
        assert heard_of.only(LimitsChanged).after.concurrency_limit == 1
        assert heard_of.only(OutageEnded).duration > 0.0


@pytest.mark.parametrize("how", ["its permit", "its id", "a refusal"])
async def test_a_trunk_takes_so_many_calls_until_one_of_them_is_known_to_be_over(
    open_gate: Open, counter: Counter, how: str
) -> None:
    """A trunk would be full for an hour, or have one call more than it takes."""
    counter.answer(limit=9)
    one = Trunk("one", cps=None, calls=1)
    async with open_gate(
        trunks=[one], counted_after=0.0, counter_lag=0.0, ttl=0.01, max_age=NEVER
    ) as gate:
        async with gate.admit(trunk="one") as permit:
            permit.placed("call_1")
        crowd = Crowd(gate)
        crowd.send("next", trunk="one")
        crowd.send("beside it")
        await until(lambda: crowd.arrived == ["beside it"])
        await until(lambda: gate.statistics().usage.uncounted == 0)  # a snapshot absorbed it
        decision = gate.explain(trunk="one")
        assert (decision.constraint, decision.on_trunk) == ("trunk full", (1, 1))
        assert crowd.arrived == ["beside it"]
        match how:
            case "its permit":
                permit.ended()
            case "its id":
                gate.note_ended("call_1")
            case _:
                permit.refused()
        await until(lambda: crowd.arrived == ["beside it", "next"])
        await crowd.disperse()


async def test_a_call_that_was_placed_after_all_is_on_its_trunk_again(open_gate: Open) -> None:
    """The trunk would have one call more than it takes."""
    one = Trunk("one", cps=None, calls=1)
    async with open_gate(trunks=[one]) as gate:
        async with gate.admit(trunk="one") as permit:
            permit.cancel()
        permit.placed("call_1")
        with pytest.raises(NoHeadroom, match="trunk 'one' has 1 of 1 calls"):
            async with gate.try_admit(trunk="one"):
                pass
        gate.note_ended("call_1")
        async with gate.admit(trunk="one"):
            pass
