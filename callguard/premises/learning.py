"""Learns from the lives of the gate's own calls whether the provider counts ringing calls.

A snapshot leaves to others what it counts beyond the gate's own calls. There are two accounts of
that: one takes ringing calls for counted, and the default one doesn't. By what is known of own
calls, each account leaves to others at least and at most so many, and moves its number of others no
further than it must. Nobody but us knows when our calls begin and cease to ring. So the account
that is right can leave others alone then, and the one that is wrong has to assume that somebody
else just happened to call, or to hang up. The score goes up by one if the default account had to
move further, and down by one if the other had to.

These keep it from a wrong answer:

- A snapshot is judged `PATIENCE` after it came, by what is known of own calls by then.
- The default account is given as much room as the other: where that may have missed beginnings or
  ends of own calls, so may the default one. Otherwise a call that nobody answers makes only the
  other account vague, and a vague account moves less.
- Where a call is over, or can't ring any longer, and no answer was reported, it may have been
  answered all the same. The default account then has put it down to others, and may take it back
  from them at no cost.
- Snapshots that are further apart than `PATIENCE` are not compared, since much may have happened.
- Own calls about which there can be no evidence, because their ids are not known, are left out.

So where ringing isn't counted, each beginning and end of our ringing speaks against it, unless
somebody else makes the same move within about a second. As long as that is so of fewer than one in
three, the score is a random walk that goes down twice as often as up, and gets to `LEARNT` with a
chance of 2 to the power of -20.

What was learnt is given up if the score falls below `DOUBTED`, or if a snapshot counts fewer calls
than the own ones that must be in it by what was learnt alone. The score then begins again at
`AFRESH`. If the provider refuses a call, it is given up for good: so a wrong answer costs one
refused dial, however strong the evidence is later.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

from callguard.limits import Snapshot
from callguard.premises.lives import PATIENCE, Life

__all__ = ["AFRESH", "DOUBTED", "LEARNT", "Learning"]

LEARNT: Final = 20
"""The score at which ringing is taken to be counted, and the highest: see the chance above."""

DOUBTED: Final = 10
"""The score below which ringing is no longer taken to be counted. Our own choice."""

AFRESH: Final = -20
"""The score at which learning begins again, and the lowest. Our own choice."""

MOST: Final = 10_000
"""How many calls may go on without evidence of their end; if there are more, all are forgotten,
which only costs a comparison."""


class _Shown(NamedTuple):
    """What a snapshot must show: all that was so before `since`, and nothing after `received`."""

    since: float
    received: float


class _Account:
    """One account of a counter: how many calls a snapshot leaves to others.

    Its number of others is anything between two, until it has to move.
    """

    def __init__(self) -> None:
        self._fewest, self._most = -math.inf, math.inf
        self.begin()

    def begin(self) -> None:
        """Begin to add up the own calls that a snapshot counts."""
        self.at_least = self.at_most = 0
        # Of these: those of which it may have missed the beginning, and the end.
        self.begins = self.ends = 0

    def add(self, shown: _Shown, begins: float, begun: float, ends: float) -> bool:
        """Add a call that began to count between `begins` and `begun`, and ended after `ends`.

        Returns:
            Whether the snapshot counts the call for sure.
        """
        if begins >= shown.received:
            return False
        is_sure, goes_on = begun < shown.since, ends > shown.received
        self.at_most += 1
        self.at_least += is_sure and goes_on
        self.begins += not is_sure
        self.ends += not goes_on
        return is_sure and goes_on

    def get_room_of(self, other: _Account) -> None:
        """Get as much room as `other` has, where calls begin and where they end."""
        self.at_most += max(0, other.begins - self.begins)
        self.at_least -= max(0, other.ends - self.ends)

    def take_back(self) -> None:
        """Let others be one call fewer from now on, at no cost."""
        self._fewest -= 1

    def move(self, count: int) -> float:
        """Move others as far as a count demands, and return how far."""
        fewest, most = count - self.at_most, count - self.at_least
        if self._most < fewest:
            moved = fewest - self._most
            self._fewest = self._most = fewest
        elif self._fewest > most:
            moved = self._fewest - most
            self._fewest = self._most = most
        else:
            moved = 0.0
            self._fewest, self._most = max(self._fewest, fewest), min(self._most, most)
        return moved


class Learning:
    """Learns whether ringing calls are counted, from the calls of one process.

    Args:
        counter_lag: seconds by which the counter is late, at most.
        ring_limit: seconds that a call rings, at most.

    Attributes:
        score: how strong the evidence is that ringing calls are counted, `AFRESH` to `LEARNT`.
        learnt: whether they are taken to be.
        given_up: whether a refusal has ended learning for good.
    """

    def __init__(self, *, counter_lag: float, ring_limit: float) -> None:
        self._lag = counter_lag
        self._ring_limit = ring_limit
        self.score = 0
        self.learnt = False
        self.given_up = False
        self.forget()

    def forget(self, slept: float = 0.0, now: float = 0.0) -> None:  # noqa: ARG002
        """Forget all calls and snapshots, because our clock stood still; the score stays."""
        self._lives: list[Life] = []
        # Calls that both accounts have for sure, without evidence of their end.
        self._in_both: set[Life] = set()
        self._unjudged: deque[Snapshot] = deque()
        self._compare_anew()
        self._judged = -math.inf

    def _compare_anew(self) -> None:
        self._ringing, self._default = _Account(), _Account()

    @property
    def looked_at(self) -> int:
        """How many calls each snapshot is compared with."""
        return len(self._lives)

    def placed(self, life: Life) -> None:
        """Follow a call from now on; evidence goes to `life`, and of its end to `ended` as well."""
        self._lives.append(life)

    def ended(self, life: Life) -> None:
        """Note that there is evidence of a call's end."""
        if life in self._in_both:
            self._in_both.remove(life)
            self._lives.append(life)

    def refused(self) -> None:
        """Note that the provider refused a call: what was learnt may be wrong."""
        if self.learnt:
            self.given_up = True
            self._give_up()

    def taken(self, snapshot: Snapshot, now: float) -> None:
        """Record a snapshot, and judge the earlier ones of which enough is known at `now`."""
        self._unjudged.append(snapshot)
        while self._unjudged[0].received + PATIENCE <= now:
            self._judge(self._unjudged.popleft())
            if not self._unjudged:
                break

    def _judge(self, snapshot: Snapshot) -> None:
        if len(self._in_both) > MOST:
            self._in_both.clear()
            self._judged = -math.inf
        if snapshot.began > self._judged + PATIENCE:
            self._compare_anew()
        self._judged = snapshot.began
        count = snapshot.limits.current_concurrency
        rests_on_learning = self._add_up(_Shown(snapshot.began - self._lag, snapshot.received))
        if self.learnt and count < rests_on_learning:
            self._give_up()
        self._default.get_room_of(self._ringing)
        count -= len(self._in_both)
        by_ringing, by_default = self._ringing.move(count), self._default.move(count)
        if by_ringing != by_default:
            self._score(1 if by_default > by_ringing else -1)

    def _add_up(self, shown: _Shown) -> int:
        """Add up the own calls that a snapshot counts in each account.

        Returns:
            How many it must count by what was learnt, and would not have to by default.
        """
        ringing, default, lives = self._ringing, self._default, self._lives
        ringing.begin()
        default.begin()
        self._lives = []
        rest_on_learning = 0
        # Calls placed before then don't ring, and evidence of an answer has come or is lost.
        silent_since = shown.since - self._ring_limit - PATIENCE
        for life in lives:
            has_ended, is_silent = life.over < shown.since, life.placed < silent_since
            if life.over == math.inf and (life.answered < shown.since or is_silent):
                self._in_both.add(life)
            if life.answered == math.inf and (has_ended or is_silent):
                default.take_back()
            if not has_ended and life not in self._in_both:
                self._lives.append(life)
                ends = life.not_over_before
                is_sure = ringing.add(shown, life.granted_after, life.placed, ends)
                default.add(shown, life.not_answered_before, life.answered, ends)
                is_new = life.placed >= shown.since - self._ring_limit
                rest_on_learning += is_sure and is_new
        return rest_on_learning

    def _score(self, points: int) -> None:
        self.score = min(LEARNT, max(AFRESH, self.score + points))
        if self.score == LEARNT:
            self.learnt = not self.given_up
        elif self.learnt and self.score < DOUBTED:
            self._give_up()

    def _give_up(self) -> None:
        self.learnt = False
        self.score = AFRESH
