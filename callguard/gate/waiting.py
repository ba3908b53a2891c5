"""The lines: who waits on which lane, and whose turn it is."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from callguard.decision import Ceilings
from callguard.gate.permit import Permit
from callguard.lanes import Lane
from callguard.limits import Limits

__all__ = ["Line", "Lines", "Waiter", "shorter"]


class Waiter:
    """One caller in the queue.

    Attributes:
        ticket: its place in the order of arrival, over all lanes.
        since: when it joined, in seconds on the event loop's clock.
        turn: done when it has its permit, or has to leave.
        granted: the permit, also if the caller was cancelled before it could take it.
        queued: whether the listener has heard of it.
    """

    __slots__ = ("granted", "queued", "since", "ticket", "turn")

    def __init__(self, ticket: int, since: float, turn: asyncio.Future[Permit]) -> None:
        self.ticket = ticket
        self.since = since
        self.turn = turn
        self.granted: Permit | None = None
        self.queued = False

    @property
    def waits(self) -> bool:
        """Whether it has neither a permit nor an error, though perhaps it was cancelled."""
        return self.granted is None and (not self.turn.done() or self.turn.cancelled())


class Line:
    """A lane's ceilings under the snapshot in hand, and its waiters in the order of arrival."""

    __slots__ = ("_waiters", "ceiling", "ceilings", "lane")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        # Without a snapshot the ledger admits nobody, so that these decide nothing before `apply`.
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
    def turn(self) -> tuple[int, int]:
        """What orders the lines by whose first waiter goes first; only where someone waits."""
        return self.lane.priority, self.first.ticket

    def apply(self, limits: Limits) -> None:
        """Take the ceilings from a new reading."""
        self.ceilings = Ceilings.of(limits, self.lane)
        self.ceiling = self.ceilings.highest

    def join(self, waiter: Waiter) -> None:
        """Stand in the line where the ticket belongs: at its end, or further on with an old one."""
        newcomer = not self._waiters or waiter.ticket > next(reversed(self._waiters))
        self._waiters[waiter.ticket] = waiter
        if not newcomer:
            ahead = list(itertools.takewhile(lambda ticket: ticket < waiter.ticket, self._waiters))
            for ticket in (waiter.ticket, *reversed(ahead)):
                self._waiters.move_to_end(ticket, last=False)

    def leave(self, waiter: Waiter) -> bool:
        """Stand in the line no more; whether it stood there until now."""
        return self._waiters.pop(waiter.ticket, None) is not None

    def pop(self) -> Waiter:
        """Take out whoever has waited longest; only where someone waits.

        One that was cancelled is in the queue, with its turn done, until its task runs.
        """
        return self._waiters.popitem(last=False)[1]

    @property
    def first(self) -> Waiter:
        """Whoever has waited longest; only where someone waits."""
        return next(iter(self._waiters.values()))


class Lines:
    """All lines of a gate."""

    __slots__ = ("_by_name", "_lines", "_tickets")

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._lines = [Line(lane) for lane in lanes]
        self._by_name = {line.lane.name: line for line in self._lines}
        self._tickets = itertools.count()

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def __getitem__(self, name: str) -> Line:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def anyone(self) -> bool:
        """Whether anyone waits on any lane."""
        return any(self._lines)

    def ticket(self) -> int:
        """A place in the order of arrival, behind everyone who has one."""
        return next(self._tickets)

    def next_to_go(self, in_use: int) -> Line | None:
        """The line whose first waiter goes next when `in_use` calls are counted, if any may.

        A higher lane before a lower one, and the earlier caller between lanes of equal priority.
        A lane that can't go doesn't hold up one that can.
        """
        best: Line | None = None
        for line in self._lines:
            if in_use < line.ceiling and line and (best is None or line.turn < best.turn):
                best = line
        return best


def shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two times to wait at most; None is for ever, and so is infinity."""
    shortest = min(math.inf if each is None else each for each in (one, other))
    return None if shortest == math.inf else shortest
