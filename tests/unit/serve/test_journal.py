"""What the journal of a gate keeps, and what it forgets."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

import pytest

from callguard.accounting import LONGEST_CALL
from callguard.decision import Usage
from callguard.events import (
    Admitted,
    Cancelled,
    Ended,
    LedgerAway,
    OutageBegan,
    Paused,
    Placed,
    PremiseBroken,
    Queued,
    Refused,
)
from callguard.limits import Limits
from callguard.serve.journal import Journal

NAMES = {"gate": "g", "workspace": "w"}

NOON = 1_764_158_400.0 - 1_764_158_400.0 % 86_400 + 43_200
"""Noon in UTC of some day, in seconds since 1970."""


@dataclass
class Clock:
    """Both clocks, which go on together when they are told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOON + self.now - 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(clock: Clock) -> Journal:
    return Journal(clock, wall=clock.wall)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def admitted(
    number: int,
    *,
    waited: float = 0.0,
    lane: str = "bulk",
    tier: str = "normal",
    trunk: str | None = None,
) -> Admitted:
    return Admitted(f"g-{number}", lane, tier, waited, trunk, **NAMES)


def placed(number: int, call_id: str | None = None) -> Placed:
    return Placed(f"g-{number}", "bulk", call_id, **NAMES)


def test_waits_are_right_to_a_few_percent(journal: Journal, clock: Clock) -> None:
    """An operator would see waits that nobody had."""
    draws = random.Random(1)
    waits = [draws.expovariate(1 / 30) for _ in range(2000)]
    for number, waited in enumerate(waits):
        clock.now += 0.1
        journal(admitted(number, waited=waited))
    kept = journal.lanes["bulk"].waits
    for share in (0.5, 0.9):
        exactly = sorted(waits)[int(share * len(waits)) - 1]
        assert kept.quantile(clock.now, share) == pytest.approx(exactly, rel=0.03)


def test_who_did_not_wait_waited_for_no_time(journal: Journal, clock: Clock) -> None:
    """A gate with room would seem to hold callers up, or one without callers to admit at once."""
    journal(admitted(1))
    kept = journal.lanes["bulk"].waits
    assert kept.quantile(clock.now, 0.9) == 0.0
    clock.now += 700.0
    assert kept.quantile(clock.now, 0.9) is None


def test_only_the_last_ten_minutes_and_the_last_minute_count(
    journal: Journal, clock: Clock
) -> None:
    """The morning's rush would be shown all day."""
    journal(admitted(1, waited=100.0, trunk="twilio"))
    assert journal.lanes["bulk"].admitted.total(clock.now) == 1
    assert journal.starts_in_last_minute("twilio") == 1
    clock.now += 62.0
    assert journal.lanes["bulk"].admitted.total(clock.now) == 0
    assert journal.starts_in_last_minute("twilio") == 0
    clock.now += 520.0
    journal(admitted(2, waited=1.0))
    kept = journal.lanes["bulk"].waits
    assert kept.quantile(clock.now, 0.9) == pytest.approx(100.0, rel=0.02)
    clock.now += 60.0
    assert kept.quantile(clock.now, 0.9) == pytest.approx(1.0, rel=0.02)


def test_hours_of_calls_take_no_more_memory_than_minutes(journal: Journal, clock: Clock) -> None:
    """A proxy that runs for weeks would eat its machine's memory."""

    def campaign(minutes: int, first: int) -> int:
        draws, count = random.Random(2), minutes * 60 * 10
        for number in range(first, first + count):
            clock.now += 0.1
            waited = draws.expovariate(0.1)
            journal(admitted(number, waited=waited, tier="burst", trunk="twilio"))
            journal(placed(number, f"call-{number}"))
            if number % 10 == 0:
                journal.mark(Usage(3, 1, 1), Limits(3, 20))
        return size_of(journal)

    campaign(35, 0)  # more permits than are remembered
    assert campaign(15, 1_000_000) <= 1.05 * size_of(journal)
    before = size_of(journal)
    assert campaign(15, 2_000_000) <= 1.05 * before


def size_of(root: object) -> int:
    """The bytes of all that hangs on an object, but for classes, functions and modules."""
    seen: set[int] = set()
    total, todo = 0, [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, type) or (callable(each) and each is not root):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if isinstance(each, dict):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set) or type(each).__name__ == "deque":
            todo += list(each)  # type: ignore[call-overload]
        else:
            todo += [getattr(each, name) for name in _fields(each)]
    return total


def _fields(each: object) -> list[str]:
    slots = [name for kind in type(each).__mro__ for name in getattr(kind, "__slots__", ())]
    named = [name for name in slots if isinstance(name, str) and hasattr(each, name)]
    return [*named, *getattr(each, "__dict__", {})]


def test_events_are_told_newest_first_and_chatter_is_not(journal: Journal, clock: Clock) -> None:
    """What matters would be lost among callers that join the queue."""
    journal(Queued("bulk", 1, **NAMES))
    journal(admitted(1))
    clock.now += 1.0
    journal(placed(1, "call_7"))
    clock.now += 1.0
    journal(Paused(None, "twilio", "web:1", "carrier trouble", **NAMES))
    told = journal.happenings()
    assert [(each.kind, each.at - NOON) for each in told] == [("Paused", 2.0), ("Placed", 1.0)]
    assert told[0].sentence == "trunk 'twilio' paused from web:1: carrier trouble"
    assert told[1].sentence == "call call_7 placed on lane 'bulk'"


def test_many_calls_do_not_push_out_what_is_rare(journal: Journal, clock: Clock) -> None:
    """At a hundred calls a second an outage would be gone from the page after a second."""
    journal(OutageBegan("LimitsUnavailable", "HTTP 503", **NAMES))
    journal(LedgerAway("LedgerUnavailable", "no answer in 2 s", **NAMES))
    for number in range(1000):
        clock.now += 0.01
        journal(placed(number))
    told = journal.happenings()
    assert len(told) == 102
    assert [each.kind for each in told[-2:]] == ["LedgerAway", "OutageBegan"]


def test_holders_are_those_whose_calls_may_be_going_on(journal: Journal, clock: Clock) -> None:
    """A call that is over would seem to hold a slot, or one that holds a slot be missing."""
    for number in range(1, 7):
        journal(admitted(number))
        clock.now += 1.0
    journal(placed(1, "call_1"))
    journal(placed(2, "call_2"))
    journal(placed(3, "call_3"))
    journal(Ended("g-3", "bulk", "call_3", **NAMES))
    journal(Refused("g-4", "bulk", 429, **NAMES))
    journal(Cancelled("g-5", "bulk", **NAMES))
    held = list(journal.holders({"g-1": "counted", "g-2": "uncounted"}))
    assert [(each.id, each.state, each.age) for each in held] == [
        ("g-1", "counted", 6.0),
        ("g-2", "uncounted", 5.0),
        ("g-6", "dialling", 1.0),
    ]
    assert [each.id for each in journal.holders({})] == ["g-6"]
    assert journal.lanes["bulk"].refused == 1


def test_a_permit_that_was_given_back_holds_a_slot_again_once_it_is_placed(
    journal: Journal,
) -> None:
    """A call that goes on would be missing."""
    journal(admitted(1))
    journal(Cancelled("g-1", "bulk", **NAMES))
    journal(placed(1))
    (held,) = journal.holders({"g-1": "uncounted"})
    assert (held.id, held.lane, held.state) == ("g-1", "bulk", "uncounted")


def test_burst_costs_for_the_length_of_each_call(journal: Journal, clock: Clock) -> None:
    """An operator would learn of the cost from the bill."""
    for number in (1, 2, 3, 4):
        journal(admitted(number, tier="burst"))
    journal(admitted(5))
    journal(Cancelled("g-4", "bulk", **NAMES))
    clock.now += 60.0
    journal(Ended("g-1", "bulk", None, **NAMES))
    journal(Refused("g-2", "bulk", 429, **NAMES))
    clock.now += 60.0
    assert len(journal.burst) == 1
    assert journal.burst.dollars_today(clock.now) == pytest.approx(0.1 + 0.2)


def test_an_end_that_is_told_before_the_permit_is_known_ends_the_cost(
    journal: Journal, clock: Clock
) -> None:
    """A short call whose webhook overtakes the answer would cost as much as the longest."""
    journal(admitted(1, tier="burst"))
    clock.now += 6.0
    journal(Ended(None, None, "call_1", **NAMES))
    journal(placed(1, "call_1"))
    clock.now += 600.0
    assert (len(journal.burst), list(journal.holders({}))) == (0, [])
    assert journal.burst.dollars_today(clock.now) == pytest.approx(0.01)


def test_a_call_of_whose_end_nobody_tells_costs_as_much_as_the_longest(
    journal: Journal, clock: Clock
) -> None:
    """A call whose end was never told would cost more every day, or nothing."""
    clock.now -= 40_000.0
    journal = Journal(clock, wall=clock.wall)
    journal(admitted(1, tier="burst"))
    clock.now += LONGEST_CALL + 1.0
    assert journal.burst.dollars_today(clock.now) == pytest.approx(LONGEST_CALL / 60 * 0.10)
    clock.now += 1000.0
    assert journal.burst.dollars_today(clock.now) == pytest.approx(LONGEST_CALL / 60 * 0.10)
    assert len(journal.burst) == 0


def test_no_more_calls_cost_than_can_be_going_on(journal: Journal, clock: Clock) -> None:
    """Where ends are not told, yesterday's calls would cost for hours beside a count of none."""
    for number in (1, 2, 3):
        journal(admitted(number, tier="burst"))
        journal(placed(number))
    clock.now += 60.0
    journal.mark(Usage(1, 0, 0), Limits(1, 20))
    clock.now += 60.0
    assert len(journal.burst) == 1
    assert journal.burst.dollars_today(clock.now) == pytest.approx(0.1 + 0.1 + 0.2)


def test_a_new_day_begins_with_the_calls_that_go_on(clock: Clock) -> None:
    """Today's cost would have all days in it."""
    clock.now += 43_200.0 - 60.0  # a minute before midnight
    journal = Journal(clock, wall=clock.wall)
    journal(admitted(1, tier="burst"))
    clock.now += 180.0
    assert journal.burst.dollars_today(clock.now) == pytest.approx(0.2)
    clock.now += 60.0
    journal(Ended("g-1", "bulk", None, **NAMES))
    assert journal.burst.dollars_today(clock.now) == pytest.approx(0.3)


def test_the_chart_has_a_point_a_second_for_ten_minutes(journal: Journal, clock: Clock) -> None:
    """The chart would grow with whoever looks, or be shorter for it."""
    limits = Limits(14, 20, 2, concurrency_burst_enabled=True, concurrency_burst_limit=60)
    for _ in range(8000):
        journal.mark(Usage(14, 1, 2, counted=9), limits)
        clock.now += 0.25
    points = journal.points()
    assert 590 <= len(points) <= 600
    assert points[-1].at - points[0].at == pytest.approx(600.0, abs=3.0)
    assert (points[-1].limit, points[-1].reserved, points[-1].burst) == (20, 2, 60)
    assert (points[-1].reported, points[-1].others) == (14, 2)
    clock.now += 601.0
    assert journal.points() == ()


def test_what_is_unknown_is_no_number_on_the_chart(journal: Journal, clock: Clock) -> None:
    """The chart would fall to 0 while the limits can't be read."""
    journal.mark(Usage(None, 1, 2), None)
    clock.now += 1.0
    journal.mark(Usage(14, 1, 2, counted=9), Limits(14, 20), stale=True)
    unread, stale = journal.points()
    assert (unread.reported, unread.others, unread.limit, unread.dialling) == (None, None, None, 1)
    assert (stale.reported, stale.others, stale.limit, stale.burst) == (None, None, 20, None)


def test_what_a_premise_said_is_kept(journal: Journal) -> None:
    """An operator would not see what is to be set."""
    journal(PremiseBroken("counter_lag", 2.0, 3.2, **NAMES))
    assert journal.premises == {"counter_lag": (2.0, 3.2)}
    assert journal.workspace == "w"
