"""A trunk's rate beside brute force over every stretch of time."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard import Trunk
from callguard.pacing import LATE_BY, LATE_PART, LONGEST_PUSH_BACK, paced

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
        st.sampled_from(
            ["start", "late start", "late start", "wait", "give back", "refuse", "succeed"]
        ),
        st.integers(0, 9),
    ),
    max_size=80,
)


@given(trunk=TRUNKS, steps=STEPS)
def test_no_stretch_of_time_has_more_starts_than_the_rate_allows(
    trunk: Trunk, steps: list[tuple[str, int]]
) -> None:
    """The provider would refuse calls, because the gate saved up or gave back too much."""
    pace, now, number, starts = paced(trunk), 100.0, 0, dict[int, float]()
    for step, which in steps:
        known = list(starts)
        if step == "wait":
            now += trunk.span * which / 8
        elif step == "late start":  # by a timer; some are later than a start may be
            now = max(now, pace.due_at + _late_by(trunk) * which / 6)
        if step.endswith("start") and now >= pace.due_at:
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
        assert _is_kept(sorted(starts.values()), trunk)
    if trunk.window is not None:
        assert _most_within(list(starts.values()), trunk.window, closed=True) <= trunk.most


@given(trunk=TRUNKS, waits=st.lists(st.integers(0, 9), max_size=60))
def test_a_call_may_start_as_soon_as_the_rate_allows(trunk: Trunk, waits: list[int]) -> None:
    """A trunk would be slower than it has to be."""
    pace, now, starts = paced(trunk), 100.0, list[float]()
    for number, wait in enumerate(waits):
        now += trunk.span * wait / 8
        is_due = now >= pace.due_at
        if _most_within([*starts, now - 1e-9], trunk.span) <= trunk.most:
            assert is_due
        if is_due:
            pace.start(number, now)
            starts.append(now)


@given(trunk=TRUNKS, waits=st.lists(st.integers(0, 9), max_size=20), behind=st.integers(0, 20))
def test_when_a_start_behind_others_is_due_is_known_beforehand(
    trunk: Trunk, waits: list[int], behind: int
) -> None:
    """A caller would be told a wait that is shorter or longer than it is."""
    pace, now, number = paced(trunk), 100.0, 0
    for wait in waits:
        now += trunk.span * wait / 8
        if now >= pace.due_at:
            number += 1
            pace.start(number, now)
    said = pace.due_after(behind, now)
    for ahead in range(behind):
        now = max(now, pace.due_at)
        pace.start(number + 1 + ahead, now)
    assert said == pytest.approx(max(now, pace.due_at))


def test_the_lateness_of_timers_does_not_add_up() -> None:
    """Each start would come a little later than it might, and a trunk be slower than its rate."""
    pace, now = paced(Trunk("a", cps=5.0)), 100.0
    for number in range(300):
        pace.start(number + 1, now)
        now = pace.due_at + 0.003
    assert now == pytest.approx(100.0 + 300 * 0.21 + 0.003)


@pytest.mark.parametrize(("cps", "late_by"), [(5.0, 0.0042), (1.0, 0.005)])
def test_a_start_that_is_later_than_a_timer_counts_from_when_it_came(
    cps: float, late_by: float
) -> None:
    """Lateness would be saved up, and used by starts that come too close to each other."""
    trunk = Trunk("a", cps=cps)
    for late, counts_from in [(0.99 * late_by, 0.0), (1.01 * late_by, 1.01 * late_by)]:
        pace = paced(trunk)
        pace.start(1, 0.0)
        pace.start(2, trunk.span + late)
        assert pace.due_at == pytest.approx(2 * trunk.span + counts_from, abs=1e-9)


def test_a_window_counts_each_start_from_when_it_came() -> None:
    """The carrier's window would hold one start too many."""
    pace = paced(Trunk("a", cps=2.0, window=1.0))
    for number, now in enumerate([0.0, 0.1, 1.051, 1.151]):
        pace.start(number + 1, now)
    assert pace.due_at == pytest.approx(1.051 + 1.05)


def test_of_two_starts_that_nobody_dialled_neither_was() -> None:
    """The next start would count from a moment at which nothing was due."""
    pace = paced(Trunk("a"))
    for number, now in enumerate([0.0, 1.05, 2.1]):
        pace.start(number + 1, now)
    assert pace.give_back(2)
    assert pace.due_at == pytest.approx(3.15)
    assert pace.give_back(3)
    assert pace.due_at < 1.0


def test_a_trunk_that_was_idle_starts_one_call_and_no_more() -> None:
    """Starts would be saved up, and come in a burst that the provider refuses."""
    pace = paced(Trunk("a"))
    pace.start(1, 1000.0)
    assert pace.due_at == 1001.05


def test_the_start_of_a_call_that_nobody_dialled_never_was() -> None:
    """A caller that changes its mind would cost the next one a second."""
    pace = paced(Trunk("a"))
    pace.start(1, 0.0)
    assert pace.give_back(1)
    assert pace.due_at <= 0.0


def test_giving_back_a_start_before_the_latest_moves_nothing() -> None:
    """The starts after it would be closer together than the rate allows."""
    pace = paced(Trunk("a"))
    pace.start(1, 0.0)
    pace.start(2, 1.05)
    pace.give_back(1)
    assert pace.due_at == 2.1


def test_pauses_after_refusals_grow_up_to_a_bound_until_a_dial_succeeds() -> None:
    """A provider that is slower than was said would be asked again and again at the same rate."""
    pace, now, pauses = paced(Trunk("a")), 0.0, list[float]()
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
    pace = paced(Trunk("a", cps=10.0, window=1.0))
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
    pace = paced(trunk)
    pace.start(1, 0.0)
    pace.push_back(1, 0.0)
    assert pace.due_at == trunk.span


def test_the_seconds_of_a_sleep_count_for_the_rate() -> None:
    """After a sleep a trunk would wait, though its last start was hours ago."""
    pace = paced(Trunk("a"))
    pace.start(1, 10.0)
    pace.note_sleep(5.0)
    assert pace.due_at == pytest.approx(6.05)


def _late_by(trunk: Trunk) -> float:
    return min(LATE_PART * trunk.span, LATE_BY) if trunk.most == 1 else 0.0


def _is_kept(starts: list[float], trunk: Trunk) -> bool:
    """Whether no window has too many of these starts, or between any two there are long gaps."""
    if trunk.most > 1:
        return _most_within(starts, trunk.span) <= trunk.most
    return all(
        starts[j] - starts[i] >= (j - i) * trunk.span - _late_by(trunk) - 1e-9
        for i, j in itertools.combinations(range(len(starts)), 2)
    )


def _most_within(starts: list[float], span: float, *, closed: bool = False) -> int:
    """The most starts in any stretch of `span` seconds, whose end is not in it unless `closed`."""
    most = 0
    for first, last in itertools.combinations_with_replacement(sorted(starts), 2):
        end = first + span
        inside = last <= end if closed else last < end
        if inside:
            most = max(most, sum(first <= each <= last for each in starts))
    return most
