"""One lane's queue: its ceilings, and its callers in the order of arrival."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict

from callguard.decision import Ceilings
from callguard.lanes import Lane
from callguard.limits import Limits

__all__ = ["Grant", "Queue", "Waiter"]

Grant = tuple[int, int, Ceilings]
"""A permit's number, the usage in calls to which it has brought the ledger, and the ceilings that
admitted it."""


class Waiter:
    """One caller in a queue.

    Attributes:
        rank: its place in the order of arrival, over all lanes.
        since: when it joined, in seconds on the event loop's clock.
        future: done when it has its slot, or has to leave.
        announced: whether the listener has heard of it.
    """

    __slots__ = ("announced", "future", "rank", "since")

    def __init__(self, rank: int, since: float, future: asyncio.Future[Grant]) -> None:
        self.rank = rank
        self.since = since
        self.future = future
        self.announced = False

    @property
    def waits(self) -> bool:
        """Whether it has neither a slot nor an error, though perhaps it was cancelled."""
        return not self.future.done() or self.future.cancelled()

    @property
    def grant(self) -> Grant | None:
        """What it was granted, also if its task was cancelled before it could take it."""
        future = self.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()


class Queue:
    """A lane's ceilings under the snapshot in hand, and its callers in the order of arrival.

    Args:
        lane: whose queue it is.

    Attributes:
        ceilings: by the snapshot in hand; without one the ledger admits nobody, whatever they are.
        ceiling: the highest of them, which a call is measured against.
    """

    __slots__ = ("_waiters", "ceiling", "ceilings", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.ceilings = Ceilings(0, None, 0)
        self.ceiling = self.ceilings.highest
        self._waiters: OrderedDict[int, Waiter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def full(self) -> bool:
        """Whether nobody more may wait."""
        most = self.lane.max_waiting
        return most is not None and len(self) >= most

    @property
    def first(self) -> Waiter:
        """Whoever has waited longest; only where someone waits.

        A caller that was cancelled is queued, with its future done, until its task runs.
        """
        return next(iter(self._waiters.values()))

    @property
    def order(self) -> tuple[int, int]:
        """Orders the queues by whose first caller goes first; only where someone waits."""
        return self.lane.priority, self.first.rank

    def apply(self, limits: Limits) -> None:
        """Take the ceilings from a new snapshot."""
        self.ceilings = Ceilings.of(limits, self.lane)
        self.ceiling = self.ceilings.highest

    def join(self, waiter: Waiter) -> None:
        """Enter where the rank belongs: at the end, or further on with an old one."""
        newcomer = not self._waiters or waiter.rank > next(reversed(self._waiters))
        self._waiters[waiter.rank] = waiter
        if not newcomer:
            ahead = list(itertools.takewhile(lambda rank: rank < waiter.rank, self._waiters))
            for rank in (waiter.rank, *reversed(ahead)):
                self._waiters.move_to_end(rank, last=False)

    def leave(self, waiter: Waiter) -> bool:
        """Leave the queue; whether the caller was in it until now."""
        return self._waiters.pop(waiter.rank, None) is not None
