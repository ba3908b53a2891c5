"""The accounting, by tables of (time, what happens, usage)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard import Limits, Snapshot, Usage
from callguard.ledger import MemoryLedger
from tests.support.times import times

LAG = 2.0


def reading(current: int, began: float, limit: int = 10) -> Snapshot:
    return Snapshot(Limits(current_concurrency=current, concurrency_limit=limit), began, began)


def opened(current: int = 0) -> MemoryLedger:
    ledger = MemoryLedger(times(counted_after=LAG, counter_lag=LAG))
    ledger.record(reading(current, began=0.0))
    return ledger


@pytest.mark.parametrize(("began", "uncounted"), [(1.0, 1), (3.0, 1), (3.001, 0), (100.0, 0)])
def test_a_call_is_seen_only_by_a_reading_that_began_after_it_was_surely_visible(
    began: float, uncounted: int
) -> None:
    """A call placed at 1 s, visible from 3 s on, would be dropped too early or kept too long."""
    ledger = opened()
    number = ledger.acquire(10, 1.0)
    ledger.place(number, 1.0)
    ledger.record(reading(0, began))
    assert ledger.usage().uncounted == uncounted


def test_the_ledger_through_a_life_of_readings_and_calls() -> None:
    """A step of the accounting would lose a call or count it for ever."""
    ledger = opened(current=3)
    numbers = [ledger.acquire(10, 0.5) for _ in range(3)]
    assert ledger.usage() == Usage(3, 3, 0)
    ledger.place(numbers[0], 1.0)
    ledger.place(numbers[1], 2.0)
    assert ledger.usage() == Usage(3, 1, 2)
    ledger.record(reading(4, 3.5))
    assert ledger.usage() == Usage(4, 1, 1)
    ledger.release(numbers[2])
    assert ledger.usage() == Usage(4, 0, 1)
    ledger.withdraw(numbers[0])
    assert ledger.usage() == Usage(4, 0, 1, 0)
    ledger.withdraw(numbers[1])
    assert ledger.usage() == Usage(4, 0, 0, 0)
    ledger.restore(numbers[2], 4.0)
    assert ledger.usage() == Usage(4, 0, 1, 0)
    ledger.record(reading(0, 7.0))
    assert ledger.usage() == Usage(0, 0, 0, 0)
    assert ledger.in_use == 0


@pytest.mark.parametrize("began", [0.0, -1.0])
def test_a_reading_no_newer_than_that_in_hand_changes_nothing(began: float) -> None:
    """Readings that overtake each other would turn the clock back."""
    ledger = opened(current=3)
    assert not ledger.record(reading(0, began))
    assert ledger.usage() == Usage(3, 0, 0)


@pytest.mark.parametrize(
    ("refused_at", "began", "admits"),
    [
        (5.0, 4.9, False),
        (5.0, 5.0, False),
        (5.0, 5.1, True),
    ],
)
def test_a_refusal_closes_the_ledger_until_a_reading_that_began_later(
    refused_at: float, began: float, admits: bool
) -> None:
    """A reading that may not know of the refused call's cause would open the gate."""
    ledger = opened()
    ledger.refuse(refused_at)
    assert ledger.spent
    assert not ledger.acquire(10, 5.2)
    ledger.record(reading(0, began))
    assert bool(ledger.acquire(10, 5.2)) is admits
    assert ledger.spent is not admits


def test_without_a_reading_there_is_no_lease_and_no_number() -> None:
    """An unknown count would be 0."""
    ledger = MemoryLedger(times(counted_after=LAG, counter_lag=LAG))
    assert not ledger.acquire(10, 0.0)
    assert ledger.usage() == Usage(None, 0, 0)
    assert not ledger.spent


def test_a_reading_authorises_a_finite_number_of_calls() -> None:
    """A counter that stands still would let calls in for ever."""
    ledger = opened(current=4)
    for expected in (True,) * 6 + (False,) * 3:
        number = ledger.acquire(10, 1.0)
        assert bool(number) is expected
        if number:
            ledger.place(number, 1.0)


@given(st.lists(st.sampled_from(["acquire", "place", "release", "withdraw", "read"]), max_size=60))
def test_the_sum_that_is_kept_is_the_sum_of_the_parts(steps: list[str]) -> None:
    """The running total would drift from what it stands for."""
    ledger = opened(current=2)
    dialling: list[int] = []
    placed: list[int] = []
    for now, step in enumerate(steps, start=1):
        if step == "acquire" and (number := ledger.acquire(10, now)):
            dialling.append(number)
        elif step == "place" and dialling:
            placed.append(dialling.pop())
            ledger.place(placed[-1], now)
        elif step == "release" and dialling:
            ledger.release(dialling.pop())
        elif step == "withdraw" and placed:
            ledger.withdraw(placed.pop())
        elif step == "read":
            ledger.record(reading(now % 5, began=now))
        usage = ledger.usage()
        assert usage.total == ledger.in_use
        assert usage.dialling == len(dialling)
        assert usage.uncounted >= 0
