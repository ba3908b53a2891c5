"""What a worker says of the ledger's clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callguard import Limits
from callguard.ledger import Claim
from callguard.ledger.redis.keys import Names
from tests.unit.ledger.bent_clock import settings, side_of

AHEAD = 1_000.0
"""Seconds by which the ledger's clock is ahead of the worker's, as far as nothing goes wrong."""


class Talk:
    """A conversation whose two clocks the test sets.

    Attributes:
        now: seconds on the worker's clock.
        waiting: the claims of the gate's callers; at first nobody waits.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[Claim] = []
        names, times = Names("workspace"), settings()
        claimant: Any = self
        self._conversation = side_of("one", names, times, claimant, lambda: self.now).conversation

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return self.waiting

    def hear(self, message: dict[str, object]) -> bool:
        """Whether a message of the server's calls for an exchange."""
        return self._conversation.hear(json.dumps(message))

    def word(self) -> float:
        """Seconds by which the worker takes the ledger's clock to be ahead, at an exchange."""
        said = json.loads(self._conversation.request()[0])
        return float(said["sent"]) / 1000 - self.now

    @property
    def ask_again_at(self) -> float | None:
        return self._conversation.ask_again_at

    def exchange(
        self, *, there: float, back: float, ahead: float = AHEAD, again: int | None = None
    ) -> None:
        """Make an exchange that takes so many seconds there and back.

        Args:
            again: milliseconds after which the worker is to ask again.
        """
        self._conversation.request()
        self.now += there
        answer = {
            "status": "ok",
            "epoch": "epoch",
            "now": int((self.now + ahead) * 1000),
            "counts": [0, 0],
            "spent": False,
            "lost": False,
            "others": False,
            "due_in": 0,
            "free_in": 0,
        }
        if again is not None:
            answer["again"] = again
        self.now += back
        assert self._conversation.accept(json.dumps(answer))


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.exchange(there=0.0, back=0.0)
    return talk


@pytest.mark.parametrize("there", [0.1, 0.5, 1.9])
def test_an_exchange_that_took_long_makes_no_word_bolder(talk: Talk, there: float) -> None:
    """The next step of the server's clock would be vouched for by so much."""
    talk.exchange(there=there, back=0.1)
    assert talk.word() == pytest.approx(AHEAD, abs=0.01)


def test_a_clock_that_stood_still_is_corrected(talk: Talk) -> None:
    """A machine that slept would hold up the ledger's clock for as long as it is awake."""
    talk.exchange(there=0.1, back=0.1, ahead=AHEAD + 60)
    assert talk.word() == pytest.approx(AHEAD + 60, abs=0.2)


def test_a_ledger_that_fell_behind_is_followed(talk: Talk) -> None:
    """A step back of the server's clock would be made up for by the next step forward."""
    talk.exchange(there=0.1, back=0.1, ahead=AHEAD - 5)
    assert talk.word() == pytest.approx(AHEAD - 5, abs=0.2)


@pytest.mark.parametrize("early", [0.0, 1e-9, 1e-7])
def test_an_exchange_that_asked_again_a_little_early_has_asked(talk: Talk, early: float) -> None:
    """A worker would ask for ever at one instant of a clock that jumps, or in a busy loop."""
    talk.exchange(there=0.0, back=0.0, again=250)
    assert talk.ask_again_at == 0.25
    talk.now = 0.25 - early
    talk.exchange(there=0.0, back=0.0)
    assert talk.ask_again_at is None


def test_an_exchange_for_another_reason_leaves_the_question_to_its_moment(talk: Talk) -> None:
    """A caller would wait for a slot that others have left to it."""
    talk.exchange(there=0.0, back=0.0, again=250)
    talk.now = 0.2
    talk.exchange(there=0.0, back=0.0)
    assert talk.ask_again_at == 0.25


@pytest.mark.parametrize(
    ("ceiling", "kept_free", "is_new"),
    [(6, (4, 0), False), (7, (4, 0), True), (6, (5, 0), True), (6, None, True)],
)
def test_a_worker_says_anew_what_its_ceilings_follow_from(
    talk: Talk, ceiling: int, kept_free: tuple[int, int] | None, is_new: bool
) -> None:
    """Its callers would be judged by limits that are no more."""
    talk.waiting = [Claim("default", 0, 6, 1, 0.0, None, (4, 0))]
    talk.exchange(there=0.0, back=0.0)
    talk.waiting = [Claim("default", 0, ceiling, 1, 0.0, None, kept_free)]
    assert talk.hear({}) is is_new
