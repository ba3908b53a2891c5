"""The provider's clock: when a call surely was not over yet, by the stamp of its record.

Two clocks are never compared but by what their answers prove. The laws that this file holds:

- An answer that says the time, as HTTP's ``Date`` does, was made between the beginning of its
  request and its arrival. So at some moment between them the provider's clock showed at least that
  time, and less than `RESOLUTION` more.
- A stamp was made before we heard of it, so the provider's clock shows no less by then.
- The two clocks drift apart by no more than `DRIFT`. So each answer bounds from both sides how far
  the provider's clock is ahead, for ever, but less and less tightly; the tightest bounds hold. Of
  the upper ones the tightest is believed as far as another ``Date`` agrees, to within `AGREES`: an
  answer from a cache that doesn't say so has a ``Date`` that is too early, and is alone with that.
- The machine that stamps is not the one that answers: their clocks differ by `SLACK` at most.
- If the bounds contradict each other, a clock was set, or an answer or a record is wrong. Then
  nothing is known, and no stamp is used for `CALM`.

The question is which moment a stamp surely lies *after*. So only the upper bound is used, and the
lower one to detect that a clock was set. An unknown moment is minus infinity.
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
NTP differ by milliseconds; stamps that were 0.3 s late and no slack cost refusals in a model."""

AGREES: Final = 0.05
"""Seconds by which the tightest bound may be below the second tightest and is believed: a tenth of
`SLACK`, out of which it is taken. Our own choice."""

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
        # The bound is that of now; it was wider by the drift when the stamp was made.
        most = max(self._tightest, self._most - AGREES) + DRIFT * abs(now - self._at)
        age = max(0.0, now - (stamp - most)) / (1.0 - DRIFT)
        return stamp - most - DRIFT * age - SLACK

    def forget(self, slept: float = 0.0, now: float = 0.0) -> None:  # noqa: ARG002
        """Forget the bounds, because our clock stood still for `slept` seconds, until `now`."""
        # The bounds, by which the provider's clock is ahead at the moment `_at`.
        self._least, self._most, self._tightest = -math.inf, math.inf, math.inf
        self._tightest_date = -math.inf

    def _bound(self, date: float, most: float) -> None:
        """Record an upper bound by a `Date`, of which the tightest one counts."""
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
