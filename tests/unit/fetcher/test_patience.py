"""After how long an answer is late."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from callguard.fetcher.patience import Patience


def after(answers: Sequence[float], min_interval: float = 0.25) -> Patience:
    patience = Patience(min_interval)
    for seconds in answers:
        patience.note_answer(seconds)
    return patience


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([1.0], 3.0),
        # Quick ones: a lost packet must not look like a request that hangs.
        ([0.001] * 16, 0.5),
        ([0.1] * 16, 0.5),
        ([0.4] * 16, 1.2),
        # A few slow ones don't make everything usual, wherever they are.
        ([0.4] * 13 + [4.0] * 3, 1.2),
        ([4.0] * 3 + [0.4] * 13, 1.2),
        # A provider that has become slower is known after a quarter, and nothing is kept for ever.
        ([0.4] * 12 + [4.0] * 4, 12.0),
        ([4.0] * 16 + [0.4] * 16, 1.2),
    ],
)
def test_three_times_as_long_as_usual(answers: list[float], seconds: float) -> None:
    """Slow answers would be asked for twice, or those that never come waited for."""
    assert after(answers).seconds == pytest.approx(seconds)


def test_two_requests_are_never_closer_than_min_interval() -> None:
    """The provider would be asked faster than the caller allows."""
    patience = after([0.01] * 16, min_interval=2.0)
    assert patience.seconds == 2.0
    patience.note_second(100.0)
    assert patience.next_at == 102.0


def test_nothing_is_late_before_the_first_answer_and_in_an_outage() -> None:
    """A provider that is overloaded would be asked twice as often."""
    patience = Patience(0.25)
    assert patience.seconds == math.inf
    patience.note_answer(1.0)
    patience.note_failure()
    assert patience.seconds == math.inf
    patience.note_answer(1.0)
    assert patience.seconds == 3.0
