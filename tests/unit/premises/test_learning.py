"""What is learnt of ringing from own calls' lives, and what must not be."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from callguard import Limits, Snapshot
from callguard.premises.learning import AFRESH, DOUBTED, LEARNT, Learning
from callguard.premises.lives import PATIENCE, Life

LAG = 2.0
RING_LIMIT = 30.0


@dataclass
class Counter:
    """A counter and a learner; a call each minute that rings for 20 s and talks for 20 s."""

    counts_ringing: bool
    learning: Learning = field(
        default_factory=lambda: Learning(counter_lag=LAG, ring_limit=RING_LIMIT)
    )
    hears_answers: bool = True
    others: Callable[[float], int] = lambda at: 0
    lives: dict[int, Life] = field(default_factory=dict)
    now: float = 0.0

    def run(self, seconds: int) -> Learning:
        for _ in range(seconds):
            self._second()
        return self.learning

    def _second(self) -> None:
        minute, second = divmod(int(self.now), 60)
        if second == 5:
            self.lives[minute] = Life(granted_after=self.now - 0.5, placed=self.now)
            self.learning.placed(self.lives[minute])
        elif second == 25 and self.hears_answers:
            self.lives[minute].note_answered(self.now + 0.1, self.now - 0.5)
        elif second == 45:
            self.lives[minute].note_over(self.now + 0.1, self.now - 0.5)
            self.learning.ended(self.lives[minute])
        begins = 5 if self.counts_ringing else 25
        count = int(begins < second <= 45) + self.others(self.now)
        snapshot = Snapshot(Limits(count, 20), self.now + 0.2, self.now + 0.3)
        self.learning.taken(snapshot, self.now + 0.3)
        self.now += 1.0


def test_ringing_that_is_counted_is_learnt() -> None:
    """A fifth of the limit would be wasted for as long as the gate runs."""
    learning = Counter(counts_ringing=True).run(60 * 9)
    assert not learning.learnt
    assert learning.score == 18  # two for each call: its ringing begins, and ceases
    learning = Counter(counts_ringing=True).run(60 * 11)
    assert (learning.score, learning.learnt) == (LEARNT, True)


def test_ringing_that_is_not_counted_is_not_learnt() -> None:
    """Live calls that nobody counts would be dropped from the ledger, and the limit exceeded."""
    learning = Counter(counts_ringing=False).run(60 * 60)
    assert (learning.score, learning.learnt) == (AFRESH, False)


def test_without_answers_nothing_is_learnt_of_calls_that_were_answered() -> None:
    """A fall at an end, of a call whose answer was not told, would be put down to ringing."""
    learning = Counter(counts_ringing=False, hears_answers=False).run(60 * 60)
    assert (learning.score, learning.learnt) == (AFRESH, False)


def test_somebody_who_calls_at_the_moment_of_our_dials_is_no_proof() -> None:
    """The default account would have no room for a coincidence that the other one has room for."""

    def in_step(at: float) -> int:
        return int(5 <= at % 60 <= 6)

    counter = Counter(counts_ringing=False, others=in_step)
    assert max(counter.run(1).score for _ in range(60 * 60)) == 0


def test_what_was_learnt_is_given_up_for_good_at_a_refusal() -> None:
    """A wrong belief would cost one refused dial each time that it is learnt."""
    counter = Counter(counts_ringing=True)
    learning = counter.run(60 * 11)
    assert learning.learnt
    learning.refused()
    assert (learning.score, learning.learnt) == (AFRESH, False)
    learning = counter.run(60 * 60)
    assert (learning.score, learning.learnt) == (20, False)


def test_what_was_doubted_is_learnt_anew_after_twice_as_much() -> None:
    """Somebody who calls in step for a while would cost the gate its slots for good."""
    counter = Counter(counts_ringing=True)
    learning = counter.run(60 * 11)
    counter.counts_ringing = False
    counter.run(60 * 2)
    assert (learning.score, learning.learnt) == (AFRESH, False)
    counter.counts_ringing = True
    counter.run(60 * 19)
    assert not learning.learnt
    counter.run(60 * 3)
    assert learning.learnt


def test_a_refusal_before_anything_was_learnt_changes_nothing() -> None:
    """Refusals for a rate would keep the gate from learning."""
    counter = Counter(counts_ringing=True)
    learning = counter.run(60 * 5)
    learning.refused()
    assert learning.score == 10


def test_a_count_below_the_own_calls_that_it_has_to_count_ends_what_was_learnt() -> None:
    """The gate would go on with a belief that a snapshot disproves."""
    counter = Counter(counts_ringing=True)
    learning = counter.run(60 * 11)
    counter.counts_ringing = False
    while learning.learnt and counter.now < 60 * 12:
        counter.run(1)
    assert learning.score == AFRESH
    must_count = 60 * 11 + 5 + LAG
    assert must_count + PATIENCE <= counter.now <= must_count + PATIENCE + 2.0


def test_what_is_doubted_is_no_longer_taken_for_learnt() -> None:
    """A workspace whose rule was changed would be dialled by the old one, if others hide it."""
    counter = Counter(counts_ringing=True)
    counter.run(60 * 11)
    counter.counts_ringing = False
    counter.others = lambda at: 5
    scores = [counter.run(1).score for _ in range(60 * 12)]
    given_up = scores.index(AFRESH)
    assert min(scores[:given_up]) == DOUBTED


def test_readings_that_paused_are_not_compared() -> None:
    """What others did while nobody looked would be taken for what own calls did."""
    learning = Learning(counter_lag=LAG, ring_limit=RING_LIMIT)
    for i in range(1000):
        at = i * (PATIENCE + 1.0)
        life = Life(granted_after=at - 0.5, placed=at - 0.2)
        learning.placed(life)
        learning.taken(Snapshot(Limits(i % 7, 20), at, at + 0.1), at + 0.1)
        life.note_over(at + 3.0)
        learning.ended(life)
    assert learning.score == 0


def test_news_of_calls_from_before_our_clock_stood_still_changes_nothing() -> None:
    """A call's end would be taken out of an account that it isn't in."""
    counter = Counter(counts_ringing=True)
    learning = counter.run(60 * 5 + 40)  # a call is answered, and counted in both accounts
    before = learning.score
    learning.forget(3.0, counter.now)
    counter.run(15)
    assert learning.score == before


def test_a_call_of_which_there_is_no_news_is_forgotten_when_it_cannot_ring_any_longer() -> None:
    """Each would be looked at with every snapshot for as long as the gate runs."""
    learning = Learning(counter_lag=LAG, ring_limit=RING_LIMIT)
    for second in range(400):
        at = float(second)
        count = min(second, 10)
        if second < 10:
            learning.placed(Life(granted_after=at - 0.5, placed=at))
        learning.taken(Snapshot(Limits(count, 20), at + 0.1, at + 0.2), at + 0.2)
    assert learning.looked_at == 0


def calls_alone(
    draw: random.Random, learning: Learning, *, counts_ringing: bool
) -> tuple[list[tuple[float, Callable[[], None]]], list[tuple[float, float]]]:
    """What is heard of sixty calls, and when; and from when until when each is counted."""
    heard: list[tuple[float, Callable[[], None]]] = []
    counted = []
    rise, fall = draw.uniform(0.0, LAG), draw.uniform(0.0, LAG)
    for _ in range(60):
        placed, rings = draw.uniform(0.0, 300.0), draw.uniform(0.0, RING_LIMIT)
        talks = draw.choice((0.0, draw.uniform(0.0, 60.0)))
        life = Life(granted_after=placed - draw.uniform(0.0, 1.0), placed=placed)
        heard.append((placed, partial(learning.placed, life)))
        news = placed + rings + draw.uniform(0.0, PATIENCE / 2)
        if talks:
            heard.append((news, partial(life.note_answered, news)))
        news = max(news, placed + rings + talks + draw.uniform(0.0, PATIENCE / 2))
        heard.append((news, partial(life.note_over, news)))
        heard.append((news, partial(learning.ended, life)))
        if counts_ringing or talks:
            begins = placed if counts_ringing else placed + rings
            counted.append((begins + rise, placed + rings + talks + fall))
    return heard, counted


@pytest.mark.parametrize("seed", range(30))
def test_the_account_that_is_right_never_has_to_move_where_nobody_else_calls(seed: int) -> None:
    """An own call's known life would not explain what the counter shows, and the score be noise."""
    draw = random.Random(seed)
    counts_ringing = bool(seed % 2)
    learning = Learning(counter_lag=LAG, ring_limit=RING_LIMIT)
    heard, counted = calls_alone(draw, learning, counts_ringing=counts_ringing)
    scores = [0]

    def read(at: float) -> None:
        shown = at + draw.uniform(0.0, 0.2)
        count = sum(begins <= shown < ends for begins, ends in counted)
        learning.taken(Snapshot(Limits(count, 100), at, at + 0.2), at + 0.2)
        scores.append(learning.score)

    for second in range(450):
        at = second + draw.uniform(0.0, 0.5)
        heard.append((at + 0.2, partial(read, at)))
    for _, happens in sorted(heard, key=lambda each: each[0]):
        happens()
    steps = [after - before for before, after in itertools.pairwise(scores)]
    assert min(steps) == 0 < max(steps) if counts_ringing else min(steps) < 0 == max(steps)
