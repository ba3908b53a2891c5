"""Whose the counted calls are, and how long that is remembered."""

from __future__ import annotations

import random

import pytest

from callguard import Limits, Snapshot, Usage
from callguard.accounting import LONGEST_CALL, Counted
from callguard.ledger import MemoryLedger
from tests.support.times import times


def counted(calls: int, *, exact: bool = True) -> Counted:
    found = Counted(100.0, exact=exact)
    found.recorded(0, 0.0)
    found.add(range(1, calls + 1), 0.0)
    found.recorded(20, 0.0)
    return found


def test_a_call_that_is_known_to_be_over_is_own_no_more() -> None:
    """Ended calls would be ours for ever."""
    found = counted(3)
    assert found.end(2)
    assert not found.end(2)
    assert found.most == 2
    assert [*found.numbers] == [1, 3]


def test_whose_the_calls_are_is_unknown_until_an_end_is_told() -> None:
    """Calls that are long over would be shown as ours where nobody tells of ends."""
    found = counted(3, exact=False)
    assert found.known is None
    found.end(1)
    assert found.known == 2


def test_no_more_own_calls_go_on_than_a_snapshot_counts() -> None:
    """Calls of whose end nobody told would be ours for hours, though the workspace was empty."""
    found = counted(5)
    found.recorded(2, 1.0)
    assert found.most == 2
    found.recorded(9, 2.0)
    assert found.most == 2, "the others that came are not ours"
    found.add([6], 3.0)
    found.recorded(9, 3.0)
    assert found.most == 3


def test_the_end_of_a_call_that_a_low_count_may_have_missed_frees_nothing_more() -> None:
    """A call that was over when the snapshot was taken would be subtracted twice."""
    found = counted(5)
    found.recorded(2, 1.0)
    for number in (1, 2, 3):
        found.end(number)
    assert found.most == 2
    found.end(4)
    assert found.most == 1


def test_a_call_is_forgotten_when_it_has_lasted_as_long_as_it_can() -> None:
    """Calls of whose end nobody tells would use memory for ever."""
    found = counted(3)
    assert found.recorded(20, 100.0) == []
    assert found.most == 3
    assert found.recorded(20, 100.1) == [1, 2, 3]
    assert (found.most, [*found.numbers]) == (0, [])


@pytest.mark.parametrize("told", [False, True])
def test_where_nobody_tells_of_ends_no_more_is_kept_than_can_be_going_on(told: bool) -> None:
    """Hours of calls would be kept for a figure that nobody can know."""
    found = Counted(LONGEST_CALL)
    found.hears_of_ends = told
    for number in range(1, 1001):
        found.add([number], float(number))
        found.recorded(5, float(number))
    assert len(found.numbers) == (1000 if told else 5)
    assert 1000 in found.numbers


def test_calls_from_before_the_ledger_may_be_own_ones() -> None:
    """A program that is started again would dial beside its calls from before."""
    found = Counted(100.0, exact=True)
    found.recorded(4, 0.0)
    assert found.most == 4
    found.recorded(3, 10.0)
    found.add([1], 20.0)
    found.recorded(9, 20.0)
    assert found.most == 4
    found.end(1)
    assert found.most == 3
    found.recorded(9, 100.1)
    assert found.most == 0, "none lasts longer"


def test_an_id_that_is_said_late_is_known() -> None:
    """The end of a call whose id came after its snapshot would be lost."""
    ledger = MemoryLedger(times(counted_after=2.0, counter_lag=2.0), inbound_apart=True)
    ledger.record(Snapshot(Limits(0, 20), 0.0, 0.0))
    number = ledger.acquire(20, 1.0)
    ledger.place(number, 1.0)
    ledger.record(Snapshot(Limits(1, 20), 4.0, 4.0))
    assert not ledger.bind(number, "call_1", 5.0), "it is counted already"
    assert ledger.inbound == 0
    ledger.note_ended("call_1", 6.0)
    assert ledger.inbound == 1


def test_own_calls_are_never_fewer_than_go_on() -> None:
    """A call of ours would be taken for somebody else's, and one too many be dialled."""
    for seed in range(500):
        chance = random.Random(seed)
        found, number, others = Counted(LONGEST_CALL, exact=True), 0, 3
        going_on = set(range(-chance.randrange(3), 0))
        found.recorded(len(going_on) + others, -1.0)
        for moment in range(60):
            for _ in range(chance.randrange(3)):
                number += 1
                going_on.add(number)
                found.add([number], float(moment))
            others = max(0, others + chance.randint(-2, 2))
            still_shown = chance.randrange(3)
            found.recorded(len(going_on) + others + still_shown, float(moment))
            for each in [*going_on]:
                if chance.random() < 0.3:
                    going_on.discard(each)
                    if chance.random() < 0.7:
                        found.end(each)
            if chance.random() < 0.2 and number:
                found.end(chance.choice([*set(range(1, number + 1)) - going_on] or [0]))
            assert found.most >= len(going_on)


@pytest.mark.parametrize(
    ("inbound_apart", "ends_free"), [(False, False), (True, False), (False, True)]
)
def test_counted_calls_are_asked_about_where_an_end_makes_room(
    inbound_apart: bool, ends_free: bool
) -> None:
    """One would take up outbound's share for two hours, or a slot until the counter falls."""
    usual = times(counted_after=2.0, counter_lag=2.0)
    ledger = MemoryLedger(usual, inbound_apart=inbound_apart, ends_free=ends_free)
    ledger.record(Snapshot(Limits(0, 20), 0.0, 0.0))
    number = ledger.acquire(20, 0.5)
    ledger.place(number, 1.0)
    ledger.bind(number, "call_1", 1.0)
    assert list(ledger.calls_in_the_way()) == [], "it is asked about as an uncounted one"
    ledger.record(Snapshot(Limits(1, 20), 4.0, 4.0))
    assert list(ledger.calls_in_the_way()) == (["call_1"] if inbound_apart or ends_free else [])
    ledger.refuse(5.0)
    assert list(ledger.calls_in_the_way()) == []


def test_the_ledger_tells_own_calls_from_others() -> None:
    """Nobody would see whether the workspace is full of own calls or of others'."""
    ledger = MemoryLedger(times(counted_after=2.0, counter_lag=2.0))
    ledger.record(Snapshot(Limits(3, 20), 0.0, 0.0))
    numbers = [ledger.acquire(20, 0.5) for _ in range(4)]
    for number in numbers[:3]:
        ledger.place(number, 1.0)
    ledger.bind(numbers[0], "call_1", 1.0)
    ledger.record(Snapshot(Limits(6, 20), 4.0, 4.0))
    assert ledger.usage() == Usage(6, 1, 0, None)
    assert (ledger.usage().own, ledger.usage().others) == (None, None)
    ledger.bind(numbers[1], "call_2", 4.0)
    ledger.note_ended("call_1", 5.0)
    assert ledger.usage() == Usage(6, 1, 0, 2)
    assert (ledger.usage().own, ledger.usage().others, ledger.in_use) == (3, 4, 7)
    ledger.note_ended("call_2", 5.0)
    ledger.withdraw(numbers[2])
    assert (ledger.usage().own, ledger.usage().others, ledger.in_use) == (1, 6, 7)
