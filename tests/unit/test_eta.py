"""When a caller is next, by how fast others went: by tables, by chance, and by any history."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.eta import Eta, Flow, Rate

PATIENCE = 10.0
"""Seconds of a wait that are not counted for being so short, and more."""

STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "grant", "end"]), st.floats(0.0, 1e6)), max_size=200
)


def flow_of(gaps: Sequence[float]) -> tuple[Flow, float]:
    """The flow of a queue in which somebody always waits, and the moment of its latest grant."""
    flow, now = Flow(), 0.0
    flow.begin(-PATIENCE)
    flow.grant(now)
    for gap in gaps:
        now += gap
        flow.grant(now)
    return flow, now


def rate_of(gaps: Sequence[float], later: float = 0.0) -> Rate:
    flow, now = flow_of(gaps)
    rate = flow.rate(now + later)
    assert rate is not None
    return rate


@given(STEPS, st.floats(0.0, 1e6), st.integers(1, 5000))
def test_whatever_happened_the_figures_can_be_believed(
    steps: list[tuple[str, float]], later: float, place: int
) -> None:
    """A dashboard would show a wait that is negative, no number, or shorter further behind."""
    flow, now, waiting = Flow(), 0.0, False
    for what, after in steps:
        now += after
        if what == "begin" and not waiting:
            flow.begin(now)
            waiting = True
        elif waiting and what != "begin":
            (flow.grant if what == "grant" else flow.end)(now)
            waiting = what == "grant"
    rate = flow.rate(now + later)
    if rate is None:
        return
    eta, behind = rate.eta(place), rate.eta(place + 1)
    assert 0.0 <= eta.p50 <= eta.p90 < math.inf
    assert eta.p50 <= behind.p50
    assert eta.p90 <= behind.p90


@given(st.floats(1e-3, 1e3), st.floats(1.0, 500.0), st.floats(0.05, 4.0), st.floats(1.0, 1e4))
def test_who_is_further_behind_waits_longer_at_any_rate(
    mean: float, grants: float, spread: float, place: float
) -> None:
    """A caller would be told to wait less for having more ahead of it."""
    rate = Rate(mean, grants, spread)
    eta, behind = rate.eta(place), rate.eta(place + 0.5)
    assert 0.0 < eta.p50 <= eta.p90 < math.inf
    assert eta.p50 < behind.p50
    assert eta.p90 < behind.p90


def test_only_the_first_grant_waits_for_who_is_ahead() -> None:
    """Callers on a higher lane who come now and then would be no part of how long others wait."""
    flow = Flow()
    flow.begin(0.0)
    flow.fall_behind()
    flow.grant(1000.0)
    for second in (1010.0, 1020.0, 1030.0):
        flow.fall_behind()
        flow.grant(second)
    rate = flow.rate(1030.0)
    assert rate is not None
    assert rate.mean == pytest.approx(10.0)
    assert rate.grants == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("grants", [4, 16, 64])
@pytest.mark.parametrize("place", [1, 3, 10, 40])
def test_the_fewer_grants_were_seen_the_wider_and_by_as_much_as_it_takes(
    grants: int, place: int
) -> None:
    """Of ten callers more than one would wait for longer than the time in which nine go."""
    draw = random.Random(grants * 100 + place)
    went = {"p50": 0, "p90": 0}
    for _ in range(4000):
        known = Rate(draw.gammavariate(grants, 1.0) / grants, grants).eta(place)
        wait = draw.gammavariate(place, 1.0)
        went["p50"] += wait <= known.p50
        went["p90"] += wait <= known.p90
    assert went["p50"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert went["p90"] / 4000 == pytest.approx(0.9, abs=0.02)


def test_grants_that_come_like_a_clock_are_foreseen_like_a_clock() -> None:
    """The wait for a trunk's rate would be as vague as one for chance."""
    rate = rate_of([2.0] * 200, later=0.5)
    eta = rate.eta(10)
    assert eta.p50 == pytest.approx(19.5, abs=0.5)
    assert eta.p90 == pytest.approx(eta.p50, rel=0.2)


def test_grants_that_come_by_chance_are_no_clock() -> None:
    """Readings that admit a few at once, or none, would look like a rhythm."""
    draw = random.Random(1)
    spreads = [rate_of([draw.expovariate(0.5) for _ in range(120)]).spread for _ in range(200)]
    assert sum(spreads) / 200 == pytest.approx(1.0, abs=0.1)
    assert rate_of([0.0, 0.0, 0.0, 8.0] * 32).spread < 0.2


def test_a_queue_that_stands_still_promises_less_and_less() -> None:
    """After the workspace came to a halt a caller would be told of the speed from before."""
    waits = [rate_of([2.0] * 50, later=later).eta(1).p50 for later in (2.0, 60.0, 600.0)]
    assert waits[0] < waits[1] < waits[2]
    assert waits[2] > 10.0


def test_the_latest_grants_weigh_most() -> None:
    """A limit that was raised would not be noticed for as long as the campaign lasts."""
    assert rate_of([10.0] * 200).mean == pytest.approx(10.0)
    assert rate_of([10.0] * 200 + [1.0] * 64).mean < 4.0


def test_time_in_which_nobody_waits_is_not_counted() -> None:
    """After a quiet hour the first in the queue would be told to wait for an hour."""
    flow = Flow()
    for hour in range(5):
        flow.begin(hour * 100.0)
        for second in (2.25, 4.25, 6.25):
            flow.grant(hour * 100.0 + second)
        flow.end(hour * 100.0 + 6.25)
    rate = flow.rate(500.0)
    assert rate is not None
    assert rate.mean == pytest.approx(2.0)


def test_what_is_long_ago_or_never_was_says_nothing() -> None:
    """A caller would be told of a rate that is nobody's any more, or of one made up."""
    flow = Flow()
    assert flow.rate(0.0) is None
    flow.begin(0.0)
    assert flow.rate(100.0) is None
    flow.grant(100.0)
    flow.end(100.0)
    assert flow.rate(700.0) is not None
    assert flow.rate(700.1) is None


def test_who_hardly_waits_has_found_no_queue() -> None:
    """A shared ledger's answer takes a moment: an empty one would look like a fast queue."""
    flow = Flow()
    for second in range(100):
        flow.begin(second)
        flow.grant(second + 0.01)
        flow.end(second + 0.01)
    assert flow.rate(100.0) is None


def test_a_longer_time_that_is_sure_goes_before() -> None:
    """A trunk that is due in a minute would be promised for now."""
    assert Eta(1.0, 90.0).at_least(60.0) == Eta(60.0, 90.0)
    for one, other in itertools.product((0.0, 5.0), (1.0, 9.0)):
        assert Eta(1.0, 2.0).at_least(one + other).p50 >= one + other
