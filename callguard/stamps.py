"""The provider's clock: the moment until which a call surely went on, by the stamp of its end.

Two clocks are compared only by what the provider's answers prove. The laws that this file holds:

- An answer that says the time, as HTTP's ``Date`` does, was made between the beginning of its
  request and its arrival. So at some moment between them the provider's clock showed at least that
  time, and less than `RESOLUTION` more.
- A stamp was made before we heard of it, so the provider's clock shows no less by then.
- The two clocks drift apart by no more than `DRIFT`. So each answer bounds from both sides how far
  the provider's clock is ahead. These bounds hold for ever, but widen; the tightest ones count.
- The tightest upper bound is believed only as far as another ``Date`` agrees with it, to within
  `AGREES`. An answer from a cache may have a ``Date`` that is too early, without saying that it
  comes from a cache. Then no other ``Date`` agrees.
- The machine that stamps is not the one that answers: their clocks differ by `SLACK` at most.
- If the bounds contradict each other, a clock was set, or an answer or a record is wrong. Then
  nothing is known, and no stamp is used for `CALM`.

The question is which moment a stamp surely lies *after*. The upper bound answers it, and the lower
one only detects that a clock was set. An unknown moment is minus infinity.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["CALM", "DRIFT", "RESOLUTION", "SLACK", "ProviderClock"]

RESOLUTION: Final = 1.0
"""Seconds from one value of a ``Date`` to the next (RFC 9110, section 5.6.7)."""

DRIFT: Final = 0.001
"""Seconds by which two clocks drift apart within a second, at most: NTP slews a clock by half of
that (RFC 5905, 500 PPM), and both may be slewed."""

SLACK: Final = 0.5
"""Seconds by which the clocks of a provider's machines differ, at most. Machines that keep time by
NTP differ by milliseconds. In a model without slack, stamps that were 0.3 s late cost refusals."""

AGREES: Final = 0.05
"""How many seconds below the second tightest bound the tightest one is believed: a tenth of
`SLACK`, which covers it. Our own choice."""

CALM: Final = 60.0
"""Seconds without a contradiction after which stamps are used again. Our own choice."""


class ProviderClock:
    """How far the provider's clock is ahead of the event loop's, as far as that is proven.

    Moments are in seconds on the event loop's clock, and stamps in seconds on the provider's.
    """

    __slots__ = ("_at", "_least", "_most", "_tightest", "_tightest_date", "_usable_from")

    _least: float
    _most: float
    _tightest: float
    _tightest_date: float

    def __init__(self) -> None:
        self._usable_from = -math.inf
        self._at = 0.0
        self.forget()

    @property
    def bounds(self) -> tuple[float, float]:
        """Seconds that the provider's clock is ahead, at least and at most; infinite if unknown."""
        return self._least, self._tightest

    def dated(self, date: float, began: float, received: float) -> None:
        """Record an answer dated `date`, whose request began at `began`; it came at `received`."""
        self._pass_time(received)
        drift = DRIFT * (received - began)
        self._least = max(self._least, date - received - drift)
        self._bound(date, date + RESOLUTION - began + drift)
        self._check(received)

    def stamped(self, stamp: float, now: float) -> None:
        """Record the stamp of an event that is known by `now`."""
        self._pass_time(now)
        self._least = max(self._least, stamp - now)
        self._check(now)

    def surely_after(self, stamp: float, now: float) -> float:
        """A moment after which the stamped event surely happened; minus infinity if unknown."""
        if now < self._usable_from or self._most == math.inf:
            return -math.inf
        # This bound is for now. When the stamp was made, it was wider by the drift since.
        most = max(self._tightest, self._most - AGREES) + DRIFT * abs(now - self._at)
        age = max(0.0, now - (stamp - most)) / (1.0 - DRIFT)
        return stamp - most - DRIFT * age - SLACK

    def forget(self, slept: float = 0.0, now: float = 0.0) -> None:  # noqa: ARG002
        """Forget the bounds, because our clock stood still for `slept` seconds, until `now`."""
        # The bounds of how far the provider's clock is ahead at the moment `_at`.
        self._least, self._most, self._tightest = -math.inf, math.inf, math.inf
        self._tightest_date = -math.inf

    def _bound(self, date: float, most: float) -> None:
        """Record an upper bound that a `Date` gives; of several, the tightest one counts."""
        if date == self._tightest_date:
            self._tightest = min(self._tightest, most)
        elif most < self._tightest:
            self._most = self._tightest
            self._tightest, self._tightest_date = most, date
        else:
            self._most = min(self._most, most)

    def _pass_time(self, now: float) -> None:
        drift = DRIFT * abs(now - self._at)
        self._least -= drift
        self._most += drift
        self._tightest += drift
        self._at = now

    def _check(self, now: float) -> None:
        if self._least > self._tightest + SLACK:
            self.forget()
            self._usable_from = now + CALM
