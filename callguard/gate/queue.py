"""The queue of a lane and trunk: its ceilings, and its callers in the order of arrival."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, NamedTuple

from callguard.decision import Ceilings, Tier
from callguard.eta import Flow
from callguard.gate.waits import WaitTally
from callguard.lanes import Lane
from callguard.limits import Limits
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["AT_ONCE", "PATIENT", "Grant", "Queue", "Terms", "Waiter", "shorter"]

Grant = tuple[int, Tier]
"""A permit's number, and what its call costs."""


class Terms(NamedTuple):
    """How long a caller may wait, and where in the queue.

    Attributes:
        timeout: seconds to wait at most; None for any time.
        waits: whether the caller waits in the queue at all.
        rank: the caller's old position in the order of arrival, if it comes back.
    """

    timeout: float | None = None
    waits: bool = True
    rank: int | None = None


PATIENT: Final = Terms()
AT_ONCE: Final = Terms(waits=False)

NEVER: Final = -(2**62)
"""The ceiling of a queue that is paused."""


class Waiter:
    """One caller in a queue.

    Attributes:
        queue: the caller's queue.
        rank: the caller's position in the order of arrival, over all lanes.
        since: when the caller joined, in seconds on the event loop's clock.
        future: done when the caller has its slot, or has to leave.
        timer: ends the wait; None if the caller may wait for any time.
        queued: whether the caller is still in the queue.
        announced: whether the caller's arrival was reported to the listener.
    """

    __slots__ = ("announced", "future", "queue", "queued", "rank", "since", "timer")

    def __init__(
        self, queue: Queue, rank: int, since: float, future: asyncio.Future[Grant]
    ) -> None:
        self.queue = queue
        self.rank = rank
        self.since = since
        self.future = future
        self.timer: asyncio.TimerHandle | None = None
        self.queued = False
        self.announced = False

    @property
    def grant(self) -> Grant | None:
        """The caller's grant, even if its task was cancelled before it could take it."""
        future = self.future
        if not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()


class Queue:
    """A lane's ceilings under the snapshot in hand, and its callers by one trunk as they arrived.

    A caller that leaves from the middle stays in the deque, marked, until it comes to the front or
    half of the deque is such: so leaving costs the same, however long the queue is. The front never
    is such a one.

    Args:
        lane: whose queue it is.
        trunk: the way to the telephone network that its callers take; None where they take none.
        pace: when the trunk is due, where the ledger of this process says so.
        siblings: all queues of the lane, among which this one is put.
        rivals: the queues of all lanes, if their priorities differ; else none.

    Attributes:
        way: the name of that trunk.
        trunk: the same trunk where something limits it.
        ceilings: by the snapshot in hand; without one the ledger admits nobody, whatever they are.
        ceiling: what a call is measured against: the highest of them, or while the queue is paused
            one that no usage is below. So nobody has to ask whether it is.
        bursts: whether a call may cost burst's surcharge.
        fills: whether the trunk takes only so many calls.
        flow: how fast they go who wait.
        paused: whether nobody is admitted from here until that is lifted.
        length: how many wait.
        admitted: callers admitted so far, at once or after a wait.
        burst: those of them whose calls may cost burst's surcharge.
        cancelled: those of them that did not dial, or whose calls were surely not placed.
        waits: how long those waited that had to.
    """

    __slots__ = (
        "_endless",
        "_rivals",
        "_siblings",
        "_waiters",
        "admitted",
        "burst",
        "bursts",
        "cancelled",
        "ceiling",
        "ceilings",
        "fills",
        "flow",
        "lane",
        "length",
        "pace",
        "paused",
        "trunk",
        "waits",
        "way",
    )

    def __init__(
        self,
        lane: Lane,
        trunk: Trunk | None = None,
        pace: Pace | None = None,
        siblings: list[Queue] | None = None,
        rivals: Iterable[Queue] = (),
    ) -> None:
        self.lane = lane
        self.way = None if trunk is None else trunk.name
        self.trunk = trunk if trunk is not None and trunk.is_limited else None
        self.fills = trunk is not None and trunk.calls is not None
        self.pace = pace
        self._siblings: list[Queue] = [] if siblings is None else siblings
        self._siblings.append(self)
        self._rivals = rivals
        self.ceilings = Ceilings(0, None, 0)
        self.ceiling = self.ceilings.highest
        self.paused = False
        self.bursts = False
        self.flow = Flow()
        self.length = 0
        self.admitted = 0
        self.burst = 0
        self.cancelled = 0
        self.waits = WaitTally()
        self._endless = lane.max_wait is None and lane.max_waiting is None
        self._waiters: deque[Waiter] = deque()

    @property
    def limited(self) -> str | None:
        """The name of the trunk where that is limited."""
        return None if self.trunk is None else self.trunk.name

    @property
    def full(self) -> bool:
        """Whether as many callers wait on the lane, over all trunks, as may wait there."""
        most = self.lane.max_waiting
        return most is not None and sum(each.length for each in self._siblings) >= most

    def may_wait(self, terms: Terms) -> bool:
        """Whether a caller with these terms may wait now."""
        if self._endless and terms is PATIENT:
            return True
        comes_back = terms.rank is not None
        return self.is_patient(terms) and (comes_back or not self.full)

    def is_patient(self, terms: Terms) -> bool:
        """Whether a caller with these terms waits at all."""
        most = self.most_wait(terms)
        return terms.waits and (most is None or most > 0)

    def most_wait(self, terms: Terms) -> float | None:
        """Seconds that a caller with these terms may wait; None for any time."""
        if self._endless and terms is PATIENT:
            return None
        return shorter(terms.timeout, self.lane.max_wait)

    def first(self) -> Waiter:
        """The caller that has waited longest; the queue must not be empty.

        A caller that was cancelled is queued, with its future done, until its task runs.
        """
        return self._waiters[0]

    def before(self, other: Queue) -> bool:
        """Whether its first caller goes before that of `other`; neither queue may be empty."""
        ours, theirs = self.lane.priority, other.lane.priority
        return ours < theirs or (ours == theirs and self.first().rank < other.first().rank)

    def apply(self, limits: Limits, inbound: int | None = None) -> None:
        """Update the ceilings, for a new snapshot or because others have more calls."""
        self.ceilings = Ceilings.of(limits, self.lane, inbound)
        if not self.paused:
            self.ceiling = self.ceilings.highest
        self.bursts = self.ceilings.burst is not None

    def pause(self, now: float, *, paused: bool) -> None:
        """Stop admitting from this queue, or start again."""
        if self.length and paused != self.paused:
            (self.flow.end if paused else self._begin)(now)
        self.paused = paused
        self.ceiling = NEVER if paused else self.ceilings.highest

    def ceiling_under(self, limits: Limits) -> int:
        """The `ceiling` under a snapshot with these limits, if all calls are counted together."""
        return Ceilings.of(limits, self.lane).highest

    def kept_free_under(self, limits: Limits) -> tuple[int, int]:
        """The slots that `ceiling_under` leaves free: for inbound calls, and the lane's reserve."""
        return limits.reserved_inbound_concurrency, self.lane.reserve

    def join(self, waiter: Waiter) -> None:
        """Add a caller by its rank: at the end, or further to the front with an old rank."""
        waiters = self._waiters
        if not waiters or waiter.rank > waiters[-1].rank:
            waiters.append(waiter)
        else:
            waiters.insert(bisect_left(waiters, waiter.rank, key=attrgetter("rank")), waiter)
        waiter.queued = True
        if not (self.length or self.paused):
            self._begin(waiter.since)
        self.length += 1

    def _begin(self, now: float) -> None:
        """Begin to measure the grants of this queue, and note which queues are behind others."""
        self.flow.begin(now)
        for each in self._rivals:
            if not each.length or each.paused:
                continue
            if each.lane.priority > self.lane.priority:
                each.flow.fall_behind()
            elif each.lane.priority < self.lane.priority:
                self.flow.fall_behind()

    def leave_granted(self, now: float, tier: Tier) -> None:
        """Remove and count the first caller, which was granted a slot."""
        waiters = self._waiters
        waiter = waiters.popleft()
        waiter.queued = False
        if waiter.timer is not None:
            waiter.timer.cancel()
        self.flow.grant(now)
        self.count(tier)
        self.waits.count(now - waiter.since)
        self.length -= 1
        if not self.length:
            self.flow.end(now)
        while waiters and not waiters[0].queued:
            waiters.popleft()

    def count(self, tier: Tier) -> None:
        """Count a caller that was admitted."""
        self.admitted += 1
        if tier == "burst":
            self.burst += 1

    def leave(self, waiter: Waiter, now: float) -> bool:
        """Leave the queue; whether the caller was in it until now."""
        if not waiter.queued:
            return False
        waiter.queued = False
        if waiter.timer is not None:
            waiter.timer.cancel()
        self.length -= 1
        if not self.length:
            self.flow.end(now)
        waiters = self._waiters
        if waiters[0] is waiter:
            waiters.popleft()
            while waiters and not waiters[0].queued:
                waiters.popleft()
        elif len(waiters) > 2 * self.length + 16:
            self._waiters = deque(each for each in waiters if each.queued)
        return True


def shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two longest waits; None, like infinity, stands for any time."""
    if one is None and other is None:
        return None
    shortest = min(math.inf if each is None else each for each in (one, other))
    return None if shortest == math.inf else shortest
