"""How long a reading waits for an answer before it asks a second time.

Now and then a request hangs: a connection is dead, or lands on a server that is. Waiting for its
time-out would leave the gate without a snapshot for seconds, where a second request is usually
answered at once.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["Patience"]

_TIMES: Final = 3.0
"""How many times as long as usual an answer is before it is late.

Three upper quartiles are exceeded by one answer in 64 where answer times are exponential, and by
one in 500 where they are lognormal with a sigma of 0.5: a second request should be for answers that
don't come, not for slow ones."""

_LEAST: Final = 0.5
"""Seconds before which no answer is late. A request that only lost a packet doesn't hang: Linux
sends it again after 0.2 s (TCP_RTO_MIN) and a round trip."""

_RECENT: Final = 16
"""Answers by which the usual time is told. A provider that becomes slower is known after a quarter
of them; until then its readings ask twice."""


class Patience:
    """Learns from the answers that come how late one has to be for a second request.

    The usual time is the upper quartile of the recent ones: a median would take the slower half
    of mixed answers for late, and by the longest a single slow one would spoil the next sixteen.

    Args:
        min_interval: seconds between the beginnings of two requests, at least.

    Attributes:
        next_at: the earliest moment for a request of the next reading, in seconds on the event
            loop's clock; later than now only if a second one has just begun.
    """

    __slots__ = ("_is_answered", "_least", "_min_interval", "_recent", "next_at")

    def __init__(self, min_interval: float) -> None:
        self._min_interval = min_interval
        self._least = max(_LEAST, min_interval)
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._is_answered = False
        self.next_at = -math.inf

    @property
    def seconds(self) -> float:
        """Seconds after which an answer is late.

        Infinite before the first answer, since nobody knows what is usual, and after a reading that
        failed: during an outage a second request would only double the load.
        """
        if not self._is_answered:
            return math.inf
        upper_quartile = sorted(self._recent)[len(self._recent) * 3 // 4]
        return max(self._least, _TIMES * upper_quartile)

    def note_answer(self, seconds: float) -> None:
        """Note that a request was answered, so many seconds after it began."""
        self._recent.append(seconds)
        self._is_answered = True

    def note_failure(self) -> None:
        """Note that a reading failed."""
        self._is_answered = False

    def note_second(self, began: float) -> None:
        """Note when a second request began, in seconds on the event loop's clock."""
        self.next_at = began + self._min_interval
