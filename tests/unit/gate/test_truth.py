"""The usage against an independent model of the truth, over any sequence of things that happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callguard import AdmissionTimeout, Gate, Limits, Permit, Snapshot
from callguard.gate.assembly import assemble
from callguard.gate.refusal import Judge
from callguard.lanes import DEFAULT_LANE
from callguard.ledger import MemoryLedger, Times
from tests.support.virtual_time import VirtualTimeLoop
from tests.unit.gate.support import PROVIDER, Refusal

T = TypeVar("T")

LIMIT = 6
RING_LIMIT = 30.0
COUNTER_LAG = 2.0

seconds = st.sampled_from([0.0, 0.1, 0.9, 1.0, 2.0, 2.1, 10.0, 29.9, 32.0, 33.0])


class NoFetcher:
    """Never answers: readings come by the rules below, and from nobody else."""

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        never: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        return await never


@dataclass
class Call:
    """A call as it really is."""

    name: str
    placed_at: float
    permit: Permit | None
    answered_at: float | None = None
    ended_at: float | None = None


@dataclass
class Flight:
    """A reading under way: what the counter said once, when that is no longer open."""

    began: float
    count: int | None = None


class World(RuleBasedStateMachine):
    """Own calls and calls by others, a counter that is late, and deliveries in any order."""

    @initialize(
        counts_ringing=st.booleans(),
        known=st.booleans(),
        late=st.floats(min_value=0.0, max_value=COUNTER_LAG),
    )
    def open(self, counts_ringing: bool, known: bool, late: float) -> None:
        self.loop = VirtualTimeLoop()
        self.counts_ringing = counts_ringing
        self.late = late
        counted_after = COUNTER_LAG if counts_ringing and known else RING_LIMIT + COUNTER_LAG
        self.gate = self.do(lambda: self._gate(counted_after))
        self.calls: list[Call] = []
        self.others: list[Call] = []
        self.dialling: list[tuple[Permit, Call | None]] = []
        self.gone: list[Permit] = []
        self.flight: Flight | None = None
        self.seen_until = float("-inf")
        self.begin_reading()
        self.finish_reading()

    def _gate(self, counted_after: float) -> Gate:
        times = Times(
            counted_after=counted_after,
            counter_lag=COUNTER_LAG,
            ttl=1e9,
            min_interval=1e9,
            max_age=1e9,
        )
        parts = assemble(
            NoFetcher(),
            MemoryLedger(times),
            lanes=[DEFAULT_LANE],
            times=times,
            judge=Judge(PROVIDER),
            listeners=(),
            workspace="a workspace",
        )
        closing = AsyncExitStack()
        closing.push_async_callback(parts.aclose)
        return Gate(parts, closing)

    def do(self, step: Callable[[], T]) -> T:
        async def inside() -> T:
            return step()

        return self.loop.run_until_complete(inside())

    @property
    def now(self) -> float:
        return self.loop.now

    @rule(passed=seconds)
    def wait(self, passed: float) -> None:
        until = self.now + passed
        for call in self.calls:
            if call.answered_at is None and call.ended_at is None:
                no_answer = call.placed_at + RING_LIMIT
                if no_answer <= until:
                    call.ended_at = no_answer
        self.loop.now = until

    def enter(self) -> Permit | None:
        permit = self.gate.admit(timeout=0.0)
        try:
            return self.loop.run_until_complete(permit.__aenter__())
        except AdmissionTimeout:
            return None

    def leave(self, permit: Permit, error: BaseException | None = None) -> None:
        self.loop.run_until_complete(permit.__aexit__(None, error, None))

    @rule(placed=st.booleans())
    def begin_dial(self, placed: bool) -> None:
        permit = self.enter()
        if permit is not None:
            self.dialling.append((permit, self._call(permit) if placed else None))

    def _call(self, permit: Permit | None) -> Call:
        own = Call(f"call_{len(self.calls)}", self.now, permit)
        self.calls.append(own)
        return own

    @rule(passed=seconds)
    def dial(self, passed: float) -> None:
        """A whole dial, and some time after it: what happens most."""
        permit = self.enter()
        if permit is not None:
            call = self._call(permit)
            self.do(lambda: permit.placed(call.name))
            self.leave(permit)
            self.gone.append(permit)
            self.wait(passed)

    @precondition(lambda self: self.dialling)
    @rule(data=st.data(), way=st.sampled_from(["placed", "left", "timed out", "named late"]))
    def finish_dial(self, data: st.DataObject, way: str) -> None:
        permit, call = self._one_that_dials(data)
        if call is None:
            if way == "placed":
                self.do(permit.cancel)
                self.leave(permit)
            else:
                self.leave(permit, Refusal())
            return
        # Ringing begins when the provider has answered the dial at the latest.
        if call.answered_at is None and call.ended_at is None:
            call.placed_at = self.now
        if way == "placed":
            self.do(lambda: permit.placed(call.name))
        self.leave(permit, TimeoutError() if way == "timed out" else None)
        if way == "named late":
            self.do(lambda: permit.placed(call.name))
        self.gone.append(permit)

    def _one_that_dials(self, data: st.DataObject) -> tuple[Permit, Call | None]:
        index = data.draw(st.integers(0, len(self.dialling) - 1))
        return self.dialling.pop(index)

    @rule(data=st.data(), how=st.sampled_from(["answered", "ended"]))
    def something_happens_to_a_call(self, data: st.DataObject, how: str) -> None:
        going_on = [each for each in (*self.calls, *self.others) if each.ended_at is None]
        if going_on:
            call = data.draw(st.sampled_from(going_on))
            if how == "ended":
                call.ended_at = self.now
            elif call.answered_at is None:
                call.answered_at = self.now

    @rule()
    def somebody_else_calls(self) -> None:
        other = Call(f"other_{len(self.others)}", self.now, None, answered_at=self.now)
        self.others.append(other)

    @rule(data=st.data(), event=st.sampled_from(["started", "ended"]), said_by_caller=st.booleans())
    def something_is_delivered(self, data: st.DataObject, event: str, said_by_caller: bool) -> None:
        happened = [
            each
            for each in (*self.calls, *self.others)
            if (each.answered_at if event == "started" else each.ended_at) is not None
        ]
        if not happened:
            return
        call = data.draw(st.sampled_from(happened))
        permit = call.permit if said_by_caller else None
        if permit is not None and permit in self.gone:
            self.do(permit.answered if event == "started" else permit.ended)
        elif event == "started":
            self.do(lambda: self.gate.note_answered(call.name))
        else:
            self.do(lambda: self.gate.note_ended(call.name))

    @precondition(lambda self: self.flight is None)
    @rule()
    def begin_reading(self) -> None:
        self.flight = Flight(self.now)

    @precondition(lambda self: self.flight is None)
    @rule(passed=seconds)
    def take_reading(self, passed: float) -> None:
        """A whole reading, and some time before it."""
        self.wait(passed)
        self.begin_reading()
        self.finish_reading()

    @precondition(lambda self: self.flight is not None and self.flight.count is None)
    @rule()
    def the_counter_is_looked_at(self) -> None:
        assert self.flight is not None
        self.flight.count = self._counter(self.now)

    @precondition(lambda self: self.flight is not None)
    @rule()
    def finish_reading(self) -> None:
        flight = self.flight
        assert flight is not None
        self.flight = None
        count = self._counter(self.now) if flight.count is None else flight.count
        limits = Limits(current_concurrency=count, concurrency_limit=LIMIT)
        snapshot = Snapshot(limits, flight.began, self.now)
        self.seen_until = max(self.seen_until, flight.began)
        self.do(lambda: self.gate._parts.intake.came(snapshot, 0.0))

    def _counter(self, at: float) -> int:
        """What the counter shows: rises and falls late by the same, ringing calls or not."""
        then = at - self.late
        counted = 0
        for call in (*self.calls, *self.others):
            since = call.placed_at if self.counts_ringing else call.answered_at
            over = call.ended_at is not None and call.ended_at <= then
            counted += since is not None and since <= then and not over
        return counted

    @invariant()
    def the_usage_is_never_below_the_truth(self) -> None:
        """Own calls that go on, and those by others that the last snapshot surely shows."""
        if not hasattr(self, "gate"):
            return
        own = sum(call.ended_at is None for call in self.calls)
        sure = self.seen_until - COUNTER_LAG
        others = sum(call.ended_at is None and call.placed_at <= sure for call in self.others)
        total = self.gate.statistics().usage.total
        assert total is not None
        assert total >= own + others

    def teardown(self) -> None:
        """Every permit leaves the ledger in the end."""
        if not hasattr(self, "gate"):
            return
        while self.dialling:
            permit, _ = self.dialling.pop()
            self.leave(permit)
        if self.flight is not None:
            self.finish_reading()
        self.wait(RING_LIMIT + COUNTER_LAG + 0.1)
        self.begin_reading()
        self.finish_reading()
        usage = self.gate.statistics().usage
        assert (usage.dialling, usage.uncounted) == (0, 0)
        assert not list(self.gate._parts.ledger.uncounted_calls())
        self.loop.run_until_complete(self.gate.aclose())
        self.loop.close()


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=200, stateful_step_count=30)
