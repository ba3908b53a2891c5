"""A trunk's rate beside brute force over every stretch of time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard import Trunk
from callguard.pacing import LONGEST_PUSH_BACK, Pace

TRUNKS = st.sampled_from(
    [
        Trunk("a"),
        Trunk("a", cps=3.0),
        Trunk("a", cps=0.3),
        Trunk("a", cps=1.0, window=1.0),
        Trunk("a", cps=0.7, window=5.0),
        Trunk("a", cps=2.0, window=3.0),
    ]
)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "start", "wait", "give back", "refuse", "succeed"]),
        st.integers(0, 9),
    ),
    max_size=80,
)


@given(trunk=TRUNKS, steps=STEPS)
def test_no_stretch_of_time_has_more_starts_than_the_rate_allows(
    trunk: Trunk, steps: list[tuple[str, int]]
) -> None:
    """The provider would refuse calls, because the gate saved up or gave back too much."""
    pace, now, number, starts = Pace(trunk), 100.0, 0, dict[int, float]()
    for step, which in steps:
        known = list(starts)
        if step == "wait":
            now += trunk.span * which / 8
        elif step == "start" and now >= pace.due_at:
            number += 1
            pace.start(number, now)
            starts[number] = now
        elif step == "give back" and known:
            back = known[-1 - which % min(3, len(known))]
            if pace.give_back(back):
                del starts[back]
        elif step == "refuse" and known:
            pace.push_back(known[-1 - which % min(3, len(known))], now)
        elif step == "succeed" and known:
            pace.succeed(known[-1 - which % min(3, len(known))])
        assert _most_within(list(starts.values()), trunk.span) <= trunk.most
    if trunk.window is not None:
        assert _most_within(list(starts.values()), trunk.window, closed=True) <= trunk.most


@given(trunk=TRUNKS, waits=st.lists(st.integers(0, 9), max_size=60))
def test_a_call_may_start_as_soon_as_the_rate_allows(trunk: Trunk, waits: list[int]) -> None:
    """A trunk would be slower than it has to be."""
    pace, now, starts = Pace(trunk), 100.0, list[float]()
    for number, wait in enumerate(waits):
        now += trunk.span * wait / 8
        allowed = _most_within([*starts, now], trunk.span) <= trunk.most
        assert (now >= pace.due_at) == allowed
        if allowed:
            pace.start(number, now)
            starts.append(now)


def test_a_trunk_that_was_idle_starts_one_call_and_no_more() -> None:
    """Starts would be saved up, and come in a burst that the provider refuses."""
    pace = Pace(Trunk("a"))
    pace.start(1, 1000.0)
    assert pace.due_at == 1001.05


def test_the_start_of_a_call_that_nobody_dialled_never_was() -> None:
    """A caller that changes its mind would cost the next one a second."""
    pace = Pace(Trunk("a"))
    pace.start(1, 0.0)
    assert pace.give_back(1)
    assert pace.due_at <= 0.0


def test_a_start_before_the_latest_is_not_given_back() -> None:
    """The starts after it would be closer together than the rate allows."""
    pace = Pace(Trunk("a"))
    pace.start(1, 0.0)
    pace.start(2, 1.05)
    assert not pace.give_back(1)
    assert pace.due_at == 2.1


def test_pauses_after_refusals_grow_up_to_a_bound_until_a_dial_succeeds() -> None:
    """A provider that is slower than was said would be asked again and again at the same rate."""
    pace, now, pauses = Pace(Trunk("a")), 0.0, list[float]()
    for number in range(8):
        pace.start(number, now)
        pace.push_back(number, now)
        pauses.append(pace.due_at - now)
        now = pace.due_at
    assert pauses == pytest.approx([1.05, 2.1, 4.2, 8.4, 16.8, 30.0, 30.0, 30.0])
    pace.start(8, now)
    pace.succeed(8)
    assert pace.due_at == pytest.approx(now + 1.05)
    pace.start(9, now + 1.05)
    pace.push_back(9, now + 1.05)
    assert pace.due_at == pytest.approx(now + 2.1)


def test_of_dials_that_are_refused_together_the_first_counts() -> None:
    """A dozen that were under way at once would stop the trunk for as long as a dozen in a row."""
    pace = Pace(Trunk("a", cps=10.0, window=1.0))
    for number in range(10):
        pace.start(number, 0.0)
    for number in range(10):
        pace.push_back(number, 0.5)
    assert pace.due_at == 1.05
    pace.succeed(3)  # it was under way before the refusals
    pace.start(10, 1.05)
    pace.push_back(10, 1.05)
    assert pace.due_at - 1.05 == pytest.approx(0.21)


def test_a_rate_below_the_longest_pause_keeps_its_own() -> None:
    """A refusal would make a slow trunk faster."""
    trunk = Trunk("a", cps=0.01)
    assert trunk.span > LONGEST_PUSH_BACK
    pace = Pace(trunk)
    pace.start(1, 0.0)
    pace.push_back(1, 0.0)
    assert pace.due_at == trunk.span


def test_the_seconds_of_a_sleep_count_for_the_rate() -> None:
    """After a sleep a trunk would wait, though its last start was hours ago."""
    pace = Pace(Trunk("a"))
    pace.start(1, 10.0)
    pace.note_sleep(5.0)
    assert pace.due_at == pytest.approx(6.05)


def _most_within(starts: list[float], span: float, *, closed: bool = False) -> int:
    """The most starts in any stretch of `span` seconds, whose end is not in it unless `closed`."""
    most = 0
    for first, last in itertools.combinations_with_replacement(sorted(starts), 2):
        end = first + span
        inside = last <= end if closed else last < end
        if inside:
            most = max(most, sum(first <= each <= last for each in starts))
    return most
