"""When a caller goes that would join a queue now, by how fast others went: numbers in, `Eta` out.

The laws that this file holds:

- What is measured is the time from grant to grant while somebody waited. A queue in which nobody
  waits says nothing of how long one would, and that time is left out.
- The time since the latest grant counts too: a queue that stands still promises less and less.
- Where grants come one by one at a steady rate, the wait for the k-th has a Gamma distribution. The
  rate is known from n grants only, so a wait is to its mean as an F variable of 2 k and 2 n degrees
  of freedom: the fewer grants were seen, the wider. Where grants come more or less evenly than
  that, both counts are divided by how much more or less their spread is.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from typing import Final

__all__ = ["Eta", "Flow", "Rate"]

_MOST: Final = 128
"""Grants that are remembered, of one queue. Those before weigh less than a sixteenth; see below."""

_HALVED_AFTER: Final = 32
"""Grants after which one weighs half as much. Our own choice: the rate's error is some 10 %, and it
follows a limit that was changed within a minute or two of a busy campaign."""

_BLOCK: Final = 8
"""Grants whose time together says how evenly they come: a reading that admits several at once looks
like a burst from grant to grant, and isn't one."""

_PRIOR: Final = 2.0
"""As many blocks are taken for granted in which grants come as by chance. Our own choice."""

_EVENLY, _UNEVENLY = 0.05, 4.0
"""Between these the spread is believed, as a multiple of that of grants that come by chance."""

_STALE: Final = 600.0
"""Seconds without any caller in the queue after which its rate is nobody's any more: ten mean
lengths of a call, in which nearly every call that shaped it has ended. Our own choice."""

_GRACE: Final = 0.25
"""Seconds in a queue that don't count as waiting: a shared ledger's answer takes no longer, and who
gets a slot by that has found no queue. Our own choice."""

_WIDEST: Final = 1.0 / 9.0
"""2 in 9 degrees of freedom, for 2: a single grant. Where that many come at once they say no less,
and the approximation holds no further."""

_P90: Final = 1.2815515655
"""The standard normal distribution's quantile at 0.9."""


@dataclass(frozen=True, slots=True)
class Eta:
    """How long a caller would wait that joined the queue now, in seconds.

    Attributes:
        p50: half of such callers wait no longer.
        p90: nine in ten wait no longer.
    """

    p50: float
    p90: float

    def at_least(self, seconds: float) -> Eta:
        """The same, where it is known to take so many seconds."""
        return Eta(max(self.p50, seconds), max(self.p90, seconds))


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast grants come.

    Attributes:
        mean: seconds from one grant to the next, above 0.
        grants: from how many that is known, above 0.
        spread: the variance of the time that some grants take, as a multiple of what it were if
            they came by chance; 0 for a clock.
        since: seconds since the latest one, in which somebody waited.
    """

    mean: float
    grants: float
    spread: float = 1.0
    since: float = 0.0

    def eta(self, place: float) -> Eta:
        """How long it takes until the grant at `place`, at least 1, the next one being 1.

        Chance has no memory. A clock has: of the time until it next strikes, a part is over, unless
        it is overdue, and then the more it is the less it is believed.
        """
        overdue = self.since > self.mean
        passed = self.mean**2 / self.since if overdue else self.since
        over = max(0.0, 1.0 - self.spread) * passed
        p50, p90 = self._quantile(place, 0.0), self._quantile(place, _P90)
        return Eta(max(0.0, p50 - over), max(0.0, p90 - over))

    def _quantile(self, place: float, z: float) -> float:
        """By Paulson (1942), Annals of Mathematical Statistics 13, 233: an F variable's cube root.

        It is a quotient of two that Wilson and Hilferty (1931) take for normal, with variances of 2
        in 9 degrees of freedom; solved for the quotient (Abramowitz and Stegun, 26.6.15).
        """
        a = self.spread / (9.0 * place)
        b = min(self.spread / (9.0 * self.grants), _WIDEST)
        above = (1.0 - a) * (1.0 - b)
        root = above + z * math.sqrt((1.0 - a) ** 2 * b + (1.0 - b) ** 2 * a - z * z * a * b)
        return self.mean * place * (root / ((1.0 - b) ** 2 - z * z * b)) ** 3


class Flow:
    """The grants to those who waited in one queue.

    Moments are seconds on one clock, and never go back. Time is counted only while somebody waits.
    """

    __slots__ = ("_ended", "_grants", "_known", "_since", "_waited")

    def __init__(self) -> None:
        # By the time that had been waited until then; the first is where it began.
        self._grants: deque[float] = deque([0.0], maxlen=_MOST + 1)
        self._known: tuple[float, float, float, float] | None = None
        self._waited = 0.0
        self._since = math.inf
        self._ended = -math.inf

    def begin(self, now: float) -> None:
        """Somebody waits from now on."""
        self._since = now + _GRACE

    def grant(self, now: float) -> None:
        """One of those who wait goes."""
        if now >= self._since:
            self._grants.append(self._waited + now - self._since)
            self._known = None

    def end(self, now: float) -> None:
        """Nobody waits from now on."""
        self._waited += max(0.0, now - self._since)
        self._since = math.inf
        self._ended = now

    def rate(self, now: float) -> Rate | None:
        """How fast grants come; None where none came yet, or nobody has waited for long."""
        if len(self._grants) < 2 or (self._since == math.inf and now - self._ended > _STALE):
            return None
        if self._known is None:
            self._known = _measured([after - before for before, after in pairwise(self._grants)])
        mean, weight, grants, spread = self._known
        since = max(0.0, self._waited + max(0.0, now - self._since) - self._grants[-1])
        return Rate(mean + since / weight, grants, spread, since)


def _measured(gaps: list[float]) -> tuple[float, float, float, float]:
    """The mean gap, the weights' sum, how many gaps of equal weight say as much, and the spread."""
    weights = [0.5 ** (i / _HALVED_AFTER) for i in reversed(range(len(gaps)))]
    weight = sum(weights)
    mean = sum(map(mul, weights, gaps)) / weight
    return mean, weight, weight**2 / sum(each * each for each in weights), _spread(gaps)


def _spread(gaps: list[float]) -> float:
    """How unevenly grants come, as `Rate.spread`, from the times that blocks of them took."""
    blocks = [sum(gaps[end - _BLOCK : end]) for end in range(len(gaps), _BLOCK - 1, -_BLOCK)]
    mean = sum(blocks) / len(blocks) if blocks else 0.0
    if not mean:
        return 1.0
    seen = _BLOCK * sum((block / mean - 1.0) ** 2 for block in blocks)
    spread = (seen + _PRIOR) / (len(blocks) - 1 + _PRIOR)
    return min(max(spread, _EVENLY), _UNEVENLY)
