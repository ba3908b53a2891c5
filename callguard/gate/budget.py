"""What questions about calls may cost: how often one is asked, and in which form. No I/O, no clock.

The laws that this file holds:

- Rounds of questions keep `INTERVAL` between their beginnings. Gates that share a workspace keep it
  together: a gate with a quarter of the calls has a quarter of the rounds.
- After a fault of any kind, of an answer or of a reading, the next round comes later: twice as much
  after each fault in a row, up to `LONGEST_BACKOFF`, and no sooner than the provider asks for.
- After a fault that says that there were too many requests, rounds are also twice as far apart, and
  come closer again only slowly: the requests that they use up are missing for readings and dials.
- Lists that are refused, or of no use `TREND` times in a row, are not asked for again for
  `LISTS_AGAIN`; questions are asked one by one meanwhile.
"""

from __future__ import annotations

import math
from typing import Final

from callguard.backoff import backoff
from callguard.errors import LimitsUnavailable

__all__ = ["INTERVAL", "Budget", "Lists"]

INTERVAL: Final = 0.9
"""Seconds from the beginning of one round to that of the next, at least: a little less than from
one reading to the next, so that each has its round. With the readings that answers bring forward
that makes three requests a second. The provider publishes no limit; our benchmarks try 300 a
minute."""

LONGEST_BACKOFF: Final = 60.0
"""Seconds between two rounds after faults, at most: limits on requests count by the minute."""

WIDENS_ONCE_IN: Final = 10.0
"""Seconds in which rounds are set further apart once, however many requests are too many: all
those belong to the same minute. Our own choice."""

NARROWS: Final = 0.95
"""By how much rounds come closer with each that is answered, so that it takes 14 of them to make up
for one that was too many. Our own choice."""

SMALLEST_PART: Final = 0.05
"""The smallest part of the rounds that a gate has among many, so that it asks at all. Our own
choice."""

MOST_LISTED: Final = 100
"""Calls in one list: a listed call has a few kilobytes, and a list is parsed in one step."""

LISTS_AGAIN: Final = 600.0
"""Seconds for which lists are not asked for; whatever refuses them may have changed by then."""

TREND: Final = 3
"""Lists in a row that were of no use after which there are none. One may be an accident."""

_TOO_MANY_REQUESTS: Final = 429


class Budget:
    """When the next round may begin. Moments are in seconds on the event loop's clock."""

    __slots__ = ("_began", "_failures", "_not_before", "_spacing", "_widened")

    def __init__(self) -> None:
        self._spacing = INTERVAL
        self._widened = -math.inf
        self._began = -math.inf
        self._failures = 0
        self._not_before = -math.inf

    def allows(self, now: float, part: float) -> bool:
        """Whether a round may begin now, for a gate that has this part of all rounds."""
        interval = self._spacing / max(part, SMALLEST_PART)
        return now >= max(self._began + interval, self._not_before)

    def begin(self, now: float) -> None:
        """Note that a round begins."""
        self._began = now

    def succeed(self) -> None:
        """Note that a round was answered."""
        self._failures = 0
        self._spacing = max(INTERVAL, self._spacing * NARROWS)

    def fail(self, now: float, error: BaseException) -> None:
        """Note the fault of a question or of a reading."""
        self._failures += 1
        wait = backoff(2 * INTERVAL, self._failures, LONGEST_BACKOFF)
        if isinstance(error, LimitsUnavailable):
            wait = max(wait, error.retry_after or 0.0)
            if error.status == _TOO_MANY_REQUESTS and now >= self._widened + WIDENS_ONCE_IN:
                self._widened = now
                self._spacing = min(2 * self._spacing, LONGEST_BACKOFF)
        self._not_before = max(self._not_before, now + wait)


class Lists:
    """Whether many calls may be asked about in one request.

    Attributes:
        most: calls in one list, at most.
    """

    __slots__ = ("_from", "_useless", "most")

    def __init__(self) -> None:
        self.most = MOST_LISTED
        self._from = -math.inf
        self._useless = 0

    def are_taken(self, now: float) -> bool:
        """Whether a list may be asked for."""
        return now >= self._from

    def refuse(self, now: float) -> None:
        """Note that the provider refused a list."""
        self._from, self._useless = now + LISTS_AGAIN, 0

    def note_use(self) -> None:
        """Note that a list had a call that was asked for."""
        self._useless = 0

    def note_malformed(self, now: float) -> None:
        """Note a list that was rubbish, or too long: the next one is shorter."""
        self.most = max(2, self.most // 2)
        self.note_useless(now)

    def note_useless(self, now: float) -> None:
        """Note a list that lacked a call which it must have had."""
        self._useless += 1
        if self._useless >= TREND:
            self.refuse(now)
