"""What burst costs: the calls that began as burst, and the surcharge of today.

The laws that this file holds:

- The surcharge is for the whole length of a call, which is counted from its admission.
- A call is over when that is told. No more calls are taken for going on than can be by the usage.
- A call of whose end nothing is known counts for as long as a call can last.

So the sum is an upper bound, as far as the calls' ends are told or a snapshot shows them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from callguard.accounting import LONGEST_CALL
from callguard.limits import SURCHARGE

__all__ = ["BurstCalls"]

_MOST: Final = 20_000
"""Calls that are remembered: more than a workspace has going at once."""


class BurstCalls:
    """The calls of one gate that began as burst.

    Args:
        now: the present moment on the clock of all moments here, in seconds.
        wall: the wall clock, in seconds since 1970, which says when a day ends.
    """

    __slots__ = ("_day_ends", "_dollars", "_since", "_wall")

    def __init__(self, now: float, wall: Callable[[], float]) -> None:
        self._wall = wall
        # The oldest first; of a plain dict, the first is slow to find once many have left.
        self._since: OrderedDict[str, float] = OrderedDict()
        self._dollars = 0.0
        self._day_ends = 0.0
        self._look_at_day(now)

    def __len__(self) -> int:
        """How many are not known to be over."""
        return len(self._since)

    def began(self, permit_id: str, now: float) -> None:
        """A call was admitted as burst."""
        self._look_at_day(now)
        self._since[permit_id] = now
        if len(self._since) > _MOST:
            self._charge_oldest(now)

    def ended(self, permit_id: str, now: float) -> None:
        """A call is over, if it began as burst."""
        if permit_id in self._since:
            self._look_at_day(now)
            self._charge(self._since.pop(permit_id), now)

    def never_was(self, permit_id: str) -> None:
        """A call was not placed."""
        self._since.pop(permit_id, None)

    def going_on(self, most: int, now: float) -> None:
        """Not more than `most` calls can be going on now, whosever they are."""
        while len(self._since) > most:
            self._charge_oldest(now)

    def dollars_today(self, now: float) -> float:
        """What burst has cost since midnight, in USD."""
        self._look_at_day(now)
        while self._since and now - next(iter(self._since.values())) > LONGEST_CALL:
            self._charge_oldest(now)
        return self._dollars + sum(_cost(since, now) for since in self._since.values())

    def _charge_oldest(self, now: float) -> None:
        self._look_at_day(now)
        _, since = self._since.popitem(last=False)
        self._charge(since, now)

    def _charge(self, since: float, now: float) -> None:
        self._dollars += _cost(since, now)

    def _look_at_day(self, now: float) -> None:
        """Forget what was before midnight, if a day has ended since the last look."""
        wall = self._wall()
        if wall < self._day_ends:
            return
        local = datetime.fromtimestamp(wall, UTC).astimezone()
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        began = now - (local - midnight).total_seconds()
        self._day_ends = (midnight + timedelta(days=1)).timestamp()
        self._dollars = 0.0
        for each, since in self._since.items():
            self._since[each] = max(began, since)


def _cost(since: float, now: float) -> float:
    return min(now - since, LONGEST_CALL) / 60 * SURCHARGE
