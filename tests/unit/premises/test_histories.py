"""What the histories of own calls say against the counter's premises, and what they don't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import pytest

from callguard import Limits, Snapshot
from callguard.premises import Broken, Histories

AHEAD = 1000.0
"""Seconds by which the provider's clock is ahead of ours."""


@dataclass(frozen=True)
class Call:
    """A call as it was; `rings` and `talks` in seconds, 0.2 s after it was granted it was placed.

    Attributes:
        heard: seconds from its answer, and from its end, until that is heard; infinity for never.
    """

    granted: float
    rings: float = 3.0
    talks: float = 60.0
    heard: tuple[float, float] = (0.5, 0.5)

    @property
    def placed(self) -> float:
        return self.granted + 0.2

    @property
    def answered(self) -> float:
        return self.placed + self.rings

    @property
    def ended(self) -> float:
        return self.answered + self.talks


def lived(
    calls: list[Call],
    shows: Callable[[Call, float], bool],
    *,
    counter_lag: float = 2.0,
    ring_limit: float | None = 30.0,
    recorded: Callable[[float], float | None] = lambda at: at + AHEAD,
    seconds: int = 300,
) -> list[Broken]:
    """What is said where a snapshot each second counts the calls that it `shows`."""
    histories = Histories(counter_lag=counter_lag, ring_limit=ring_limit)
    found: list[Broken] = []

    def snapshot(at: float) -> None:
        ids = {f"call_{i}": i for i, call in enumerate(calls, 1) if call.placed < at}
        ids = {name: i for name, i in ids.items() if at < calls[i - 1].placed + 40.0}
        count = sum(shows(call, at) and at < call.ended + 1.0 for call in calls)
        histories.placed(ids, at + 0.1)
        unused = 1 + sum(call.granted < at + 0.1 for call in calls)
        found.extend(histories.taken(Snapshot(Limits(count, 20), at, at + 0.1), unused, at + 0.1))

    def answered(name: str, call: Call) -> Callable[[float], None]:
        return lambda at: histories.answered(name, at, recorded(call.answered))

    def ended(name: str, call: Call) -> Callable[[float], None]:
        return lambda at: histories.ended(name, at, recorded(call.ended))

    happens: list[tuple[float, Callable[[float], None]]] = []
    for i, call in enumerate(calls, 1):
        to_answer, to_end = call.heard
        happens += [
            (call.answered + to_answer, answered(f"call_{i}", call)),
            (call.ended + to_end, ended(f"call_{i}", call)),
        ]
    happens += [(float(second), snapshot) for second in range(seconds)]
    for at, what in sorted(happens, key=lambda each: each[0]):
        if at < inf:
            what(at)
    return found


def late_by(seconds: float) -> Callable[[Call, float], bool]:
    """A counter that shows a call so many seconds after it was placed."""
    return lambda call, at: at > call.placed + seconds


def not_ringing(call: Call, at: float) -> bool:
    """A counter that shows a call a second after it was answered."""
    return at > call.answered + 1.0


APART = [Call(granted=1.3 + 20.0 * i) for i in range(12)]
"""Calls that overlap each other."""


def test_a_counter_that_is_later_than_said_is_said() -> None:
    """Calls would be refused again and again, and nobody would know what to set."""
    found = lived(APART, late_by(15.0))
    assert {broken.premise for broken in found} == {"counter_lag"}
    assert [broken.begins for broken in found].count(True) == 1
    first = found[0]
    assert first.said == 2.0
    assert first.seen is not None
    assert 2.0 < first.seen <= 12.0  # 15 s after they were placed, and they rang for 3
    assert "open the gate with counter_lag=" in first.why


@pytest.mark.parametrize("heard", [(0.5, 0.5), (0.5, 45.0), (45.0, 45.0), (0.5, inf), (inf, 0.5)])
@pytest.mark.parametrize("ring_limit", [None, 30.0])
def test_a_counter_in_time_is_not_doubted(
    heard: tuple[float, float], ring_limit: float | None
) -> None:
    """News that comes late, or not at all, would be taken for calls that the counter misses."""
    calls = [Call(1.3 + 5.0 * i, rings=i % 7, talks=10.0 + i, heard=heard) for i in range(40)]
    assert lived(calls, late_by(1.5), ring_limit=ring_limit) == []


def test_two_snapshots_are_no_trend() -> None:
    """One odd answer of the provider's would be taken for a counter that is late."""
    odd = {90.0, 91.0}
    assert lived(APART, lambda call, at: at not in odd and late_by(1.5)(call, at)) == []
    odd.add(92.0)
    found = lived(APART, lambda call, at: at not in odd and late_by(1.5)(call, at))
    assert [broken.premise for broken in found] == ["counter_lag"]


def test_without_the_providers_records_nothing_is_concluded() -> None:
    """A call whose end was heard of late would be taken for one that had been going on."""
    assert lived(APART, late_by(15.0), recorded=lambda _: None) == []


@pytest.mark.parametrize("by", [-60.0, 60.0])
def test_a_clock_that_was_set_proves_nothing(by: float) -> None:
    """Calls would be taken to end later than they did, and the counter to miss them."""

    def recorded(at: float) -> float:
        return at + AHEAD + (by if at > 150.0 else 0.0)

    assert lived(APART, late_by(1.5), recorded=recorded) == []


def test_calls_that_ring_longer_than_said_are_said() -> None:
    """Calls would be taken for counted while they still ring, and are not."""
    calls = [Call(1.3 + 5.0 * i, rings=40.0 if i % 4 == 3 else 4.0) for i in range(20)]
    found = lived(calls, not_ringing)
    assert {(broken.premise, broken.said) for broken in found} == {("ring_limit", 30.0)}
    longest = max(broken.seen or 0.0 for broken in found)
    assert 30.0 < longest <= 40.0
    assert lived(calls[:12], not_ringing)[0].why.endswith("open the gate with ring_limit=34.5")


@pytest.mark.parametrize("late", [0.5, 45.0])
def test_news_that_comes_late_is_no_long_ringing(late: float) -> None:
    """An agent whose ringing is as said would be set to hold slots for longer."""
    calls = [Call(1.3 + 5.0 * i, rings=(4.0, 29.5)[i % 2], heard=(late, 0.5)) for i in range(20)]
    assert lived(calls, not_ringing) == []


def test_a_call_that_is_asked_about_and_rings_has_rung_so_long() -> None:
    """Where no webhook can be received, ringing that is longer than said would never be seen."""
    histories = Histories(counter_lag=2.0, ring_limit=30.0)
    histories.ringing("another", 0.0)  # the first evidence, from which on calls are looked at
    histories.placed({"call_1": 1, "call_2": 2, "call_3": 3}, 10.0)
    for asked in (39.0, 40.5):
        for call_id in ("call_1", "call_2", "call_3"):
            histories.ringing(call_id, asked)
            histories.ringing("another", asked)
        found = histories.taken(Snapshot(Limits(0, 20), asked, asked), 4, asked)
        assert [broken.premise for broken in found] == (["ring_limit"] if asked > 40.0 else [])


def test_ringing_that_is_not_counted_is_said() -> None:
    """Calls would be taken for counted while they ring, and the limit be exceeded by as many."""
    calls = [Call(1.3 + 7.0 * i, rings=(20.0, 5.0)[i % 2], talks=30.0) for i in range(30)]
    found = lived(calls, not_ringing, ring_limit=None)
    assert {(broken.premise, broken.said, broken.seen) for broken in found} == {
        ("counts_ringing", True, False)
    }
    assert lived(calls, not_ringing, ring_limit=30.0) == []


def test_a_counter_that_may_be_late_or_not_count_ringing_is_late_after_a_while() -> None:
    """Either would be taken for the other, and what was set would not help."""
    calls = [Call(1.3 + 20.0 * i, rings=9.0, talks=25.0) for i in range(45)]
    found = lived(calls, late_by(8.0), ring_limit=None, seconds=900)
    assert [broken.premise for broken in found] == ["counter_lag"]


def test_what_was_seen_before_our_clock_stood_still_is_forgotten() -> None:
    """A call that ended would be taken to go on for as long as the machine had slept."""
    histories = Histories(counter_lag=2.0, ring_limit=30.0)
    found: list[Broken] = []

    def snapshots(begin: int, end: int, *, granted: int, count: int) -> None:
        for half in range(begin, end):
            at = half / 2
            histories.placed({"call_1": 1} if granted else {}, at)
            found.extend(histories.taken(Snapshot(Limits(count, 20), at, at), 1 + granted, at))

    histories.answered("another", 0.0, None)
    snapshots(0, 3, granted=0, count=0)
    snapshots(3, 4, granted=1, count=0)
    histories.answered("call_1", 1.7, 1.5 + AHEAD)
    snapshots(4, 10, granted=1, count=1)
    histories.forget(4.0, 5.0)
    snapshots(10, 20, granted=1, count=1)
    snapshots(20, 32, granted=1, count=0)
    histories.ended("call_1", 16.0, 10.0 + 4.0 + AHEAD)
    snapshots(32, 33, granted=1, count=0)
    assert found == []
