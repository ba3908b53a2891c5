"""The usage of a ledger whose ended calls free their slots at once, beside the rule itself.

The rule is written here a second time, as docs/guarantee.md has it, and works the usage out anew
from everything that happened so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard import Limits, Snapshot
from callguard.in_hand import WINDOW
from callguard.ledger import MemoryLedger
from tests.support.times import times

COUNTED_AFTER, COUNTER_LAG, MANY = 4.0, 2.0, 1000


@dataclass
class Call:
    """An own call: when it was placed, and when and how it was an own one no more."""

    placed_at: float | None = None
    left_at: float = math.inf
    ended_after: float = -math.inf


@dataclass
class Counted:
    """A snapshot, as it was when it came."""

    count: int
    began: float
    received: float


@dataclass
class Rule:
    """Everything that happened, and the usage by it."""

    calls: dict[int, Call] = field(default_factory=dict)
    snapshots: list[Counted] = field(default_factory=list)

    def surely_counted(self, call: Call, until: float) -> bool:
        """Whether a snapshot that was received by then surely counted it while it was own."""
        return call.placed_at is not None and any(
            call.placed_at + COUNTED_AFTER < each.began and each.received <= until
            for each in self.snapshots
            if each.received < call.left_at
        )

    def left(self, snapshot: Counted) -> int:
        counted = [each for each in self.calls.values() if self.surely_counted(each, math.inf)]
        first = snapshot.received
        then = [each for each in counted if self.surely_counted(each, first)]
        left = snapshot.count - sum(each.left_at > first for each in then)
        for each in counted:
            if first < each.left_at < math.inf and not first < each.ended_after:
                left += 1
        return left

    def proof(self, snapshot: Counted) -> int:
        began, received = snapshot.began, snapshot.received
        may_count = [each for each in self.calls.values() if each.left_at >= began - COUNTER_LAG]
        entered = [each for each in may_count if self.entered(each) <= received]
        return snapshot.count - len(entered)

    def entered(self, call: Call) -> float:
        return self.entered_at[id(call)]

    entered_at: dict[int, float] = field(default_factory=dict)

    @property
    def usage(self) -> int:
        own = sum(each.left_at == math.inf for each in self.calls.values())
        if not self.snapshots:
            return own
        latest = self.snapshots[-1].received
        in_hand = [each for each in self.snapshots if each.received >= latest - WINDOW]
        proofs = [self.proof(each) for each in in_hand]
        others = min(
            max([self.left(each), *proofs[number + 1 :]]) for number, each in enumerate(in_hand)
        )
        return own + others


@dataclass
class Both:
    """A ledger, and the rule, to which the same happens."""

    ledger: MemoryLedger = field(
        default_factory=lambda: MemoryLedger(
            times(counted_after=COUNTED_AFTER, counter_lag=COUNTER_LAG, max_age=MANY),
            ends_free=True,
        )
    )
    plain: MemoryLedger = field(
        default_factory=lambda: MemoryLedger(
            times(counted_after=COUNTED_AFTER, counter_lag=COUNTER_LAG, max_age=MANY)
        )
    )
    rule: Rule = field(default_factory=Rule)
    now: float = 0.0

    def read(self, count: int, took: float = 0.0) -> None:
        snapshot = Snapshot(Limits(count, MANY), self.now - took, self.now)
        if self.ledger.record(snapshot):
            self.rule.snapshots.append(Counted(count, snapshot.began, snapshot.received))
        self.plain.record(snapshot)

    def enter(self) -> int:
        number = self.ledger.acquire(MANY, self.now)
        assert number
        assert self.plain.acquire(MANY, self.now) == number
        call = self.rule.calls[number] = Call()
        self.rule.entered_at[id(call)] = self.now
        return number

    def place(self, number: int) -> None:
        for ledger in (self.ledger, self.plain):
            ledger.place(number, self.now)
            ledger.bind(number, f"call_{number}", self.now)
        self.rule.calls[number].placed_at = self.now

    def leave(self, number: int, ended_after: float) -> None:
        call = self.rule.calls[number]
        for ledger in (self.ledger, self.plain):
            if call.placed_at is None:
                ledger.release(number)
            else:
                ledger.note_ended(f"call_{number}", self.now, ended_after)
            ledger.note_change(self.now)
        call.left_at, call.ended_after = self.now, ended_after

    def check(self) -> None:
        ledger, usage = self.ledger, self.ledger.usage()
        assert ledger.in_use == usage.total == self.rule.usage
        assert self.plain.in_use - usage.ended == ledger.in_use
        assert (usage.dialling, usage.uncounted) == self._unsettled()
        assert ledger.unsettled() == self.plain.unsettled()
        if usage.own is not None and usage.others is not None:
            assert usage.own + usage.others == usage.total

    def _unsettled(self) -> tuple[int, int]:
        usage = self.plain.usage()
        return usage.dialling, usage.uncounted


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "enter", "enter", "place", "place", "leave", "leave"]),
        st.sampled_from([0.25, 0.5, 1.0, 1.0, 3.0]),
        st.integers(0, 12),
        st.sampled_from([-math.inf, -math.inf, 0.0, 0.25, 1.0, 2.5]),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=400)
@given(STEPS)
def test_the_usage_is_that_of_the_rule(steps: list[tuple[str, float, int, float]]) -> None:
    """A slot would be free that isn't, or taken though it is free, after some rare history."""
    both = Both()
    both.read(3)
    for kind, passes, what, before in steps:
        both.now += passes
        own = [number for number, each in both.rule.calls.items() if each.left_at == math.inf]
        chosen = own[what % len(own)] if own else 0
        dialling = [number for number in own if both.rule.calls[number].placed_at is None]
        if kind == "read":
            both.read(what, took=min(passes, before) if before > 0.0 else 0.0)
        elif kind == "enter":
            both.enter()
        elif kind == "place" and dialling:
            both.place(dialling[0])
        elif kind == "leave" and chosen:
            both.leave(chosen, both.now - before if before >= 0.0 else before)
        both.check()


@settings(deadline=None, max_examples=100)
@given(STEPS)
def test_without_stamps_one_snapshot_leaves_the_plain_rule(
    steps: list[tuple[str, float, int, float]],
) -> None:
    """Somebody whose webhooks have no times would be admitted by guesses."""
    both = Both()
    both.read(3)
    for kind, passes, what, _ in steps:
        both.now += passes if kind != "read" else passes + WINDOW
        own = [number for number, each in both.rule.calls.items() if each.left_at == math.inf]
        if kind == "read":
            both.read(what)
        elif kind == "enter":
            both.place(both.enter())
        elif kind == "leave" and own:
            both.leave(own[what % len(own)], -math.inf)
        assert both.ledger.in_use == both.plain.in_use


def full() -> tuple[MemoryLedger, list[int]]:
    """A ledger with five own calls and one of somebody else, which a snapshot at 10 s counts."""
    ledger = MemoryLedger(times(counted_after=2.0, counter_lag=2.0), ends_free=True)
    ledger.record(Snapshot(Limits(1, 20), 0.0, 0.0))
    numbers = [ledger.acquire(20, 1.0) for _ in range(5)]
    for number in numbers:
        ledger.place(number, 1.0)
        ledger.bind(number, f"call_{number}", 1.0)
    ledger.record(Snapshot(Limits(6, 20), 10.0, 10.0))
    assert ledger.in_use == 6
    return ledger, numbers


def test_an_end_frees_its_slot_once() -> None:
    """A webhook that comes twice, or an answer beside it, would free two slots."""
    ledger, _ = full()
    for _ in range(3):
        ledger.note_ended("call_1", 12.0, 11.0)
        assert ledger.in_use == 5
    ledger.withdraw(1)
    assert ledger.in_use == 5


def test_the_end_of_a_call_that_may_not_be_counted_frees_only_its_own_slot() -> None:
    """A call that the count may lack would be subtracted from the count, too."""
    ledger, _ = full()
    number = ledger.acquire(20, 10.5)
    ledger.place(number, 10.5)
    ledger.bind(number, "call_late", 10.5)
    assert ledger.in_use == 7
    ledger.note_ended("call_late", 12.0, 11.0)
    assert ledger.in_use == 6


def test_an_end_that_came_before_its_id_frees_nothing() -> None:
    """Nobody knows any more when it was heard of, so the count may lack the call."""
    ledger, _ = full()
    number = ledger.acquire(20, 10.5)
    ledger.place(number, 10.5)
    ledger.note_ended("call_late", 12.0, 15.0)
    ledger.record(Snapshot(Limits(7, 20), 14.0, 14.0))
    assert ledger.in_use == 7
    ledger.bind(number, "call_late", 16.0)
    assert (ledger.in_use, ledger.usage().ended) == (7, 0)


def test_a_refusal_gives_it_up_for_good() -> None:
    """A provider that refuses by its late counter would refuse one call after another."""
    ledger, _ = full()
    ledger.note_ended("call_1", 12.0, 11.0)
    ledger.refuse(12.5)
    assert (ledger.in_use, ledger.ends_free) == (6, False)
    ledger.record(Snapshot(Limits(6, 20), 13.0, 13.0))
    ledger.note_ended("call_2", 15.0, 14.0)
    assert (ledger.in_use, ledger.usage().ended) == (6, 0)
    ledger.refuse(16.0)
    ledger.record(Snapshot(Limits(4, 20), 17.0, 17.0))
    assert ledger.in_use == 4


def test_nothing_from_before_a_sleep_frees_anything() -> None:
    """A call that ended while the machine slept would be subtracted from a count without it."""
    ledger, _ = full()
    ledger.note_ended("call_1", 12.0, 11.0)
    assert ledger.in_use == 5
    ledger.note_sleep(100.0, 12.0)
    assert ledger.in_use == 5, "that one is over, and the count had it"
    ledger.note_ended("call_2", 13.0, 12.5)
    assert ledger.in_use == 5
    ledger.record(Snapshot(Limits(5, 20), 11.0, 13.5))
    ledger.note_ended("call_3", 14.0, 13.9)
    assert ledger.in_use == 5, "its request was sent before the sleep"
    ledger.record(Snapshot(Limits(3, 20), 15.0, 15.0))
    ledger.note_ended("call_4", 16.5, 15.5)
    assert ledger.in_use == 2


def test_what_was_learnt_wrongly_of_ringing_makes_no_end_free_more() -> None:
    """A call that is uncounted again would be held against a count that was freed of it."""
    ledger = MemoryLedger(times(counted_after=32.0, counter_lag=2.0), ends_free=True)
    ledger.record(Snapshot(Limits(0, 20), 0.0, 0.0))
    ledger.take_ringing(for_counted=True)
    for number in (ledger.acquire(20, 1.0), ledger.acquire(20, 1.0)):
        ledger.place(number, 1.0)
        ledger.bind(number, f"call_{number}", 1.0)
    ledger.record(Snapshot(Limits(2, 20), 8.0, 8.0))
    assert ledger.in_use == 2
    ledger.take_ringing(for_counted=False)
    assert (ledger.in_use, ledger.unsettled()) == (4, 2)
    ledger.note_ended("call_1", 10.0, 9.0)
    assert (ledger.in_use, ledger.unsettled()) == (3, 1)


@pytest.mark.parametrize("most", [3, 6])
def test_others_have_what_own_calls_leave_of_the_usage(most: int) -> None:
    """Where inbound calls are counted apart, an end would move a ceiling twice."""
    ledger = MemoryLedger(
        times(counted_after=2.0, counter_lag=2.0), inbound_apart=True, ends_free=True
    )
    ledger.record(Snapshot(Limits(0, 20), 0.0, 0.0))
    for number in [ledger.acquire(20, 1.0) for _ in range(6)]:
        ledger.place(number, 1.0)
        ledger.bind(number, f"call_{number}", 1.0)
    ledger.record(Snapshot(Limits(most + 2, 20), 10.0, 10.0))
    inbound = ledger.inbound
    assert inbound == max(0, most + 2 - 6)
    ledger.note_ended("call_1", 12.0, 11.0)
    usage = ledger.usage()
    assert usage.own is not None
    assert (ledger.in_use, ledger.inbound) == (most + 1, max(0, most + 1 - 5))
    assert usage.own + (usage.others or 0) == usage.total == ledger.in_use
