"""The estimate of how long a caller that joins a queue now will wait, by the recent rate of grants.

The laws that this file holds:

- The time from grant to grant is measured while somebody waits. Time in which nobody waits is left
  out, because it doesn't show how long a caller would wait.
- Time in which the queue first waits behind callers on a higher lane is left out as well. Those are
  ahead, and counted by themselves.
- The time since the latest grant counts too: if grants stop coming, the estimate grows.
- If grants come at random at a steady rate, the wait for the k-th has a Gamma distribution. The
  rate is known from n grants only, so the ratio of a wait to its estimated mean has an F
  distribution with 2 k and 2 n degrees of freedom: the fewer grants were seen, the wider it is. If
  grants come more or less evenly than at random, k and n are divided by `Rate.spread`.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from operator import mul
from typing import Final, NamedTuple

__all__ = ["Eta", "Flow", "Rate"]

_MOST: Final = 128
"""Grants of one queue that are remembered. Older ones would weigh less than a sixteenth."""

_HALVED_AFTER: Final = 32
"""Grants after which an older grant weighs half as much. Our own choice: the rate's error is about
10 %, and in a busy campaign it follows a changed limit within a minute or two."""

_BLOCK: Final = 8
"""Grants in a block, by whose durations the spread is measured. From grant to grant, a reading that
admits several callers at once would look like a burst."""

_PRIOR: Final = 2.0
"""The weight of the prior assumption that grants come at random, in blocks. Our own choice."""

_EVENLY, _UNEVENLY = 0.05, 4.0
"""The bounds to which a measured spread is cut."""

_STALE: Final = 600.0
"""Seconds without a caller in the queue after which its rate is no longer used: ten times the mean
length of a call, by when nearly every call that shaped the rate has ended. Our own choice."""

_GRACE: Final = 0.25
"""The first seconds in a queue, which don't count as waiting: a shared ledger's answer takes no
longer, and a caller who is granted a slot by that answer didn't have to queue. Our own choice."""

_WIDEST: Final = 1.0 / 9.0
"""The variance 2 / (9 * 2) for the 2 degrees of freedom of a single grant, an upper bound: even
grants that come all at once tell as much as one, and the approximation holds no further."""

_P90: Final = 1.2815515655
"""The standard normal distribution's quantile at 0.9."""


@dataclass(frozen=True, slots=True)
class Eta:
    """How long a caller that joined the queue now would wait, in seconds.

    Attributes:
        p50: half of such callers wait no longer.
        p90: nine in ten of them wait no longer.
    """

    p50: float
    p90: float

    def at_least(self, seconds: float) -> Eta:
        """The same estimate, but not below `seconds`, which the wait is known to take."""
        return Eta(max(self.p50, seconds), max(self.p90, seconds))


class Rate(NamedTuple):
    """How fast grants come.

    Attributes:
        mean: seconds from one grant to the next, above 0.
        grants: the number of grants that the mean rests on, above 0.
        spread: the variance of the time that a number of grants take, as a multiple of the variance
            if they came at random; 0 if they come like the ticks of a clock.
        since: seconds since the latest grant in which somebody waited.
    """

    mean: float
    grants: float
    spread: float = 1.0
    since: float = 0.0

    def eta(self, place: float) -> Eta:
        """How long it takes until the grant number `place`, where 1 is the next grant.

        Random grants have no memory, so the time since the latest one doesn't shorten the wait.
        Clock-like grants have: the time since the latest tick is subtracted, unless the tick is
        overdue. The longer it is overdue, the less is subtracted.
        """
        overdue = self.since > self.mean
        passed = self.mean**2 / self.since if overdue else self.since
        over = max(0.0, 1.0 - self.spread) * passed
        p50, p90 = self._quantile(place, 0.0), self._quantile(place, _P90)
        return Eta(max(0.0, p50 - over), max(0.0, p90 - over))

    def _quantile(self, place: float, z: float) -> float:
        """Approximate a quantile of the wait; Paulson (1942), Annals of Math. Statistics 13, 233.

        The cube root of an F variable is the quotient of two variables that Wilson and Hilferty
        (1931) approximate as normal, each with the variance 2 / (9 * degrees of freedom). Solved
        for the quotient, this is equation 26.6.15 of Abramowitz and Stegun.
        """
        a = self.spread / (9.0 * place)
        b = min(self.spread / (9.0 * self.grants), _WIDEST)
        above = (1.0 - a) * (1.0 - b)
        root = above + z * math.sqrt((1.0 - a) ** 2 * b + (1.0 - b) ** 2 * a - z * z * a * b)
        return self.mean * place * (root / ((1.0 - b) ** 2 - z * z * b)) ** 3


class Flow:
    """The flow of grants to the callers of one queue.

    Moments are in seconds on one clock that never goes back. Time counts only while somebody waits.
    """

    __slots__ = ("_before", "_behind", "_ended", "_grants", "_known", "_since", "_waited")

    def __init__(self) -> None:
        # Each grant by the total time waited until then; the first entry is the beginning.
        self._grants: deque[float] = deque([0.0], maxlen=_MOST + 1)
        self._known: tuple[float, float, float, float] | None = None
        self._waited = 0.0
        self._since = math.inf
        # The latest grant when the queue last began, as long as it has had none since; and whether
        # no time counts until then, because others are ahead.
        self._before = 0.0
        self._behind = False
        self._ended = -math.inf

    def begin(self, now: float) -> None:
        """Note that the queue is no longer empty."""
        self._since = now + _GRACE
        self._before = self._grants[-1]
        self._behind = False

    def fall_behind(self) -> None:
        """Note that callers on a higher lane wait too; it matters only before the first grant."""
        if self._grants[-1] == self._before:
            self._since = math.inf
            self._behind = True

    def grant(self, now: float) -> None:
        """Note a grant to one of the callers."""
        if now >= self._since:
            self._grants.append(self._waited + now - self._since)
            self._known = None
        elif self._behind:
            self._since = now
            self._before = -math.inf
            self._behind = False

    def end(self, now: float) -> None:
        """Note that the queue is empty."""
        self._waited += max(0.0, now - self._since)
        self._since = math.inf
        self._behind = False
        self._ended = now

    def rate(self, now: float) -> Rate | None:
        """How fast grants come; None if none has come yet, or nobody has waited for `_STALE`."""
        if len(self._grants) < 2 or (self._since == math.inf and now - self._ended > _STALE):
            return None
        if self._known is None:
            self._known = _measured([after - before for before, after in pairwise(self._grants)])
        mean, weight, grants, spread = self._known
        since = max(0.0, self._waited + max(0.0, now - self._since) - self._grants[-1])
        return Rate(mean + since / weight, grants, spread, since)


def _measured(gaps: list[float]) -> tuple[float, float, float, float]:
    """The mean gap, the sum of weights, the equivalent number of equal weights, and the spread."""
    weights = [0.5 ** (i / _HALVED_AFTER) for i in reversed(range(len(gaps)))]
    weight = sum(weights)
    mean = sum(map(mul, weights, gaps)) / weight
    return mean, weight, weight**2 / sum(each * each for each in weights), _spread(gaps)


def _spread(gaps: list[float]) -> float:
    """`Rate.spread`, measured by the times that blocks of grants took."""
    blocks = [sum(gaps[end - _BLOCK : end]) for end in range(len(gaps), _BLOCK - 1, -_BLOCK)]
    mean = sum(blocks) / len(blocks) if blocks else 0.0
    if not mean:
        return 1.0
    seen = _BLOCK * sum((block / mean - 1.0) ** 2 for block in blocks)
    spread = (seen + _PRIOR) / (len(blocks) - 1 + _PRIOR)
    return min(max(spread, _EVENLY), _UNEVENLY)
