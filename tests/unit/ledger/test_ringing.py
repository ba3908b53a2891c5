"""What the ledger does with what is learnt of ringing calls, and when that is given up."""

from __future__ import annotations

import random

import pytest

from callguard import Limits, Snapshot
from callguard.ledger import MemoryLedger
from tests.support.times import times

LAG, RING_LIMIT = 2.0, 30.0


def opened() -> MemoryLedger:
    return MemoryLedger(times(counted_after=RING_LIMIT + LAG, counter_lag=LAG))


def reading(count: int, began: float) -> Snapshot:
    return Snapshot(Limits(count, 20), began, began)


def parts(ledger: MemoryLedger) -> tuple[int | None, int, int]:
    usage = ledger.usage()
    return usage.reported, usage.dialling, usage.uncounted


def placed(ledger: MemoryLedger, at: float, call_id: str) -> int:
    number = ledger.acquire(20, at)
    ledger.place(number, at)
    ledger.bind(number, call_id, at)
    return number


def learnt(calls: int) -> tuple[MemoryLedger, list[int]]:
    """A ledger that has absorbed calls on trust: placed at 1 s, and counted at 4 s."""
    ledger = opened()
    ledger.record(reading(0, 0.0))
    ledger.take_ringing(for_counted=True)
    numbers = [placed(ledger, 1.0, f"call_{i}") for i in range(calls)]
    ledger.record(reading(calls, 4.0))
    return ledger, numbers


def test_ringing_calls_that_are_taken_for_counted_are_absorbed_soon() -> None:
    """Each would be counted twice for as long as it may ring."""
    ledger, _ = learnt(3)
    assert (ledger.usage().uncounted, ledger.in_use) == (0, 3)


def test_calls_that_were_absorbed_on_trust_are_uncounted_again() -> None:
    """Calls would ring that nobody counts, after a wrong belief was given up."""
    ledger, _ = learnt(3)
    ledger.record(reading(0, 5.0))
    assert ledger.in_use == 0
    ledger.take_ringing(for_counted=False)
    assert (ledger.usage().uncounted, ledger.in_use) == (3, 3)
    assert set(ledger.uncounted_calls()) == {"call_0", "call_1", "call_2"}
    ledger.record(reading(0, 1.0 + RING_LIMIT + LAG))
    assert ledger.in_use == 3
    ledger.record(reading(0, 1.1 + RING_LIMIT + LAG))
    assert ledger.in_use == 0


def test_what_became_of_calls_meanwhile_is_known() -> None:
    """Calls that are over or answered would hold slots for as long as a call may ring."""
    ledger, numbers = learnt(4)
    ledger.note_ended("call_0", 5.0)
    ledger.note_answered("call_1", 5.0)
    ledger.answered(numbers[2], 6.0)
    ledger.take_ringing(for_counted=False)
    assert ledger.usage().uncounted == 3
    ledger.record(reading(0, 7.5))
    assert ledger.usage().uncounted == 2
    ledger.record(reading(0, 8.5))
    assert ledger.usage().uncounted == 1
    ledger.note_ended("call_3", 9.0)
    assert ledger.in_use == 0


def test_calls_that_would_have_been_absorbed_anyway_stay_so() -> None:
    """Old calls would be counted twice when a belief is given up."""
    ledger, _ = learnt(3)
    ledger.record(reading(3, 1.1 + RING_LIMIT + LAG))
    ledger.take_ringing(for_counted=False)
    assert parts(ledger) == (3, 0, 0)


@pytest.mark.parametrize("seed", range(40))
def test_a_ledger_that_gives_up_what_was_learnt_is_as_if_it_had_never_been(seed: int) -> None:
    """Giving up would leave the usage below what it is without learning, or above it for ever."""
    draw = random.Random(seed)
    plain, learning = opened(), opened()
    on, now = False, 0.0
    for _ in range(400):
        now += draw.choice((0.0, 0.25, 0.5, 1.0))
        count = draw.randrange(5)
        what = draw.choice(("reading", "place", "place", "answer", "end", "learn"))
        call_id = f"call_{draw.randint(max(1, plain.granted - 20), plain.granted + 1)}"
        if what == "learn":
            on = not on
            learning.take_ringing(for_counted=on)
        for ledger in (plain, learning):
            if what == "reading":
                ledger.record(reading(count, now))
            elif what == "place" and (number := ledger.acquire(10**6, now)):
                ledger.place(number, now)
                ledger.bind(number, f"call_{number}", now)
            elif what == "answer":
                ledger.note_answered(call_id, now)
            elif what == "end":
                ledger.note_ended(call_id, now)
        if not on:
            assert parts(learning) == parts(plain)
            assert learning.uncounted_calls().keys() == plain.uncounted_calls().keys()
        else:
            assert learning.in_use <= plain.in_use
