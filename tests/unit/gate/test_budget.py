"""When questions may be asked, and in which form."""

from __future__ import annotations

import pytest

from callguard import LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.gate.budget import (
    INTERVAL,
    LISTS_AGAIN,
    LONGEST_BACKOFF,
    MOST_LISTED,
    SMALLEST_PART,
    Budget,
    Lists,
)

TOO_MANY = LimitsUnavailable("HTTP 429", status=429)
FAULT = LimitsUnavailable("HTTP 500", status=500)


def next_round(budget: Budget, after: float, part: float = 1.0) -> float:
    """The first eighth of a second from `after` on in which a round may begin."""
    now = after
    while not budget.allows(now, part):
        now += 0.125
    return now


@pytest.mark.parametrize(
    ("part", "spacing"),
    [(1.0, INTERVAL), (0.5, 2 * INTERVAL), (0.25, 4 * INTERVAL), (0.0, INTERVAL / SMALLEST_PART)],
)
def test_a_gate_has_as_many_rounds_as_its_part(part: float, spacing: float) -> None:
    """Twenty gates on one workspace would ask twenty times as often as one, or one never."""
    budget = Budget()
    assert budget.allows(0.0, part)
    budget.begin(0.0)
    assert next_round(budget, 0.0, part) == pytest.approx(spacing, abs=0.125)


@pytest.mark.parametrize("error", [FAULT, LimitsMalformed("rubbish"), RuntimeError("odd")])
def test_faults_in_a_row_put_rounds_off_and_one_answer_ends_that(error: Exception) -> None:
    """A provider in trouble would be asked as often as before, or a short trouble cost minutes."""
    budget, waits = Budget(), []
    now = 0.0
    for _ in range(8):
        budget.begin(now)
        budget.fail(now, error)
        waits.append(next_round(budget, now) - now)
        now += waits[-1]
    assert waits[:3] == pytest.approx([2 * INTERVAL, 4 * INTERVAL, 8 * INTERVAL], abs=0.125)
    assert waits[-2:] == pytest.approx([LONGEST_BACKOFF] * 2, abs=0.125)
    budget.begin(now)
    budget.succeed()
    assert next_round(budget, now) - now == pytest.approx(INTERVAL, abs=0.125)


def test_after_too_many_requests_rounds_come_closer_only_slowly() -> None:
    """Each answered question would be followed at once by one too many, for readings and dials."""
    budget = Budget()
    for second in range(5):  # all of them tell of the same minute
        budget.fail(float(second), TOO_MANY)
    budget.fail(20.0, TOO_MANY)
    now, spacings = 1000.0, []
    for _ in range(40):
        budget.begin(now)
        budget.succeed()
        spacings.append(next_round(budget, now) - now)
        now += spacings[-1]
    assert spacings[0] == pytest.approx(4 * INTERVAL, abs=0.25)
    assert spacings[10] > 2 * INTERVAL
    assert spacings[-1] == pytest.approx(INTERVAL, abs=0.125)


def test_rounds_are_never_further_apart_than_a_minute() -> None:
    """A provider that was strict for an hour would not be asked for a day."""
    budget = Budget()
    for minute in range(60):
        budget.fail(60.0 * minute, TOO_MANY)
    budget.begin(3600.0)
    assert next_round(budget, 3600.0) <= 3600.0 + LONGEST_BACKOFF


def test_what_the_provider_asks_for_is_waited() -> None:
    """A Retry-After of the provider would be ignored."""
    budget = Budget()
    budget.fail(0.0, LimitsUnavailable("HTTP 503", 30.0, 503))
    budget.fail(1.0, LimitsRejected("HTTP 404", 404))
    assert next_round(budget, 1.0) == pytest.approx(30.0, abs=0.125)


def test_lists_end_when_they_are_refused_or_of_no_use_three_times_in_a_row() -> None:
    """Calls would never be asked about one by one, or always be because of one accident."""
    lists = Lists()
    for _ in range(10):
        lists.note_useless(0.0)
        lists.note_useless(0.0)
        lists.note_use()
    assert lists.are_taken(0.0)
    lists.note_malformed(0.0)
    assert lists.most == MOST_LISTED // 2
    lists.note_malformed(0.0)
    lists.note_malformed(0.0)
    assert not lists.are_taken(LISTS_AGAIN - 1.0)
    assert lists.are_taken(LISTS_AGAIN)
    lists.refuse(LISTS_AGAIN)
    assert not lists.are_taken(2 * LISTS_AGAIN - 1.0)
