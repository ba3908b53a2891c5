"""After which snapshot a call surely ended, as a worker says it to the server."""

from __future__ import annotations

import math

import pytest

from callguard.in_hand import MOST
from callguard.ledger.redis.heard import HeardSnapshots
from callguard.ledger.redis.outbox import NOTE_ANSWERED, NOTE_ENDED, Outbox


@pytest.fixture
def heard() -> HeardSnapshots:
    """Snapshots that began at 100 and 200 ms, and were heard of at 5 s and 6 s."""
    heard = HeardSnapshots()
    heard.add(100, 5.0)
    heard.add(200, 6.0)
    return heard


@pytest.mark.parametrize(
    ("moment", "began"),
    [(-math.inf, 0), (4.9, 0), (5.0, 0), (5.1, 100), (6.0, 100), (6.1, 200), (math.inf, 200)],
)
def test_a_call_ended_after_what_was_heard_before(
    heard: HeardSnapshots, moment: float, began: int
) -> None:
    """A snapshot that may miss the call would be said to count it."""
    assert heard.before(moment) == began


def test_what_was_heard_long_ago_is_forgotten(heard: HeardSnapshots) -> None:
    """A worker would remember each snapshot for ever."""
    for number in range(MOST):
        heard.add(300 + number, 7.0 + number)
    assert heard.before(6.5) == 0


def test_nothing_holds_for_another_ledger(heard: HeardSnapshots) -> None:
    """A moment of a lost ledger's clock would be one of the new one's."""
    heard.forget()
    assert heard.before(9.0) == 0


def test_evidence_is_dated_when_it_is_sent(heard: HeardSnapshots) -> None:
    """An end that waits for the server would be dated by a ledger that is lost meanwhile."""
    outbox = Outbox(heard=heard)
    outbox.note(NOTE_ANSWERED, "one", 5.5)
    outbox.note(NOTE_ENDED, "one", 5.5)
    outbox.note(NOTE_ENDED, "two")
    assert outbox.batch() == [(NOTE_ENDED, "one", 100), (NOTE_ENDED, "two")]
    heard.forget()
    assert outbox.batch() == [(NOTE_ENDED, "one"), (NOTE_ENDED, "two")]


def test_a_sleep_makes_moments_unusable(heard: HeardSnapshots) -> None:
    """A stamp of a call that ended while the machine slept would seem to be later than it was."""
    outbox = Outbox(heard=heard)
    outbox.note(NOTE_ENDED, "one", 5.5)
    outbox.forget_moments()
    assert outbox.batch() == [(NOTE_ENDED, "one")]
