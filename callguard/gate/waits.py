"""How long the callers of a queue waited, as a histogram."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["NO_WAITS", "WAIT_BOUNDS", "WaitTally", "Waits"]

WAIT_BOUNDS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""The upper bounds of the histogram's buckets, in seconds; one more bucket has what is above. Our
own choice, from the answer of a shared ledger to the longest wait that a campaign plans with."""


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of callers that were admitted from a queue, by bucket of `WAIT_BOUNDS`.

    Attributes:
        callers: how many callers waited so long, for each bucket.
        seconds: how long they waited together, for each bucket.
    """

    callers: Sequence[int]
    seconds: Sequence[float]


NO_WAITS: Final = Waits((0,) * (len(WAIT_BOUNDS) + 1), (0.0,) * (len(WAIT_BOUNDS) + 1))


class WaitTally:
    """Counts waits."""

    __slots__ = ("_callers", "_seconds")

    def __init__(self) -> None:
        self._callers = list(NO_WAITS.callers)
        self._seconds = list(NO_WAITS.seconds)

    def count(self, seconds: float) -> None:
        """Count a caller that waited for `seconds`."""
        bucket = bisect_left(WAIT_BOUNDS, seconds)
        self._callers[bucket] += 1
        self._seconds[bucket] += seconds

    def picture(self) -> Waits:
        """Return what has been counted so far."""
        return Waits(self._callers.copy(), self._seconds.copy())
