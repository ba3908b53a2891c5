"""The journal of one gate: what an operator wants to know, and the gate itself forgets."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from heapq import merge
from typing import TYPE_CHECKING, Any, Final

from cachetools import FIFOCache

from callguard.clock import clock_of
from callguard.decision import Usage
from callguard.events import (
    Admitted,
    Cancelled,
    Ended,
    Event,
    Placed,
    PremiseBroken,
    ReadingTaken,
    Refused,
)
from callguard.ledger import PlacedState
from callguard.ledger.process import this_process
from callguard.limits import Limits
from callguard.serve.batches import BatchForwarded
from callguard.serve.recent import Minute, Waits
from callguard.serve.sentences import OF_CALLS, OF_THE_GATE, sentence
from callguard.serve.surcharge import BurstCalls
from callguard.serve.views import Happening, Holder, Point

if TYPE_CHECKING:
    from callguard.gate import Gate

__all__ = ["Journal", "LaneJournal"]

_EVENTS: Final = 100
"""Events of calls that are kept, and as many others, which many calls must not push out."""

_POINTS: Final = 600
"""Points of the chart that are kept, and seconds for which they are."""

_MOST: Final = 20_000
"""Permits that are remembered: more than a workspace has calls going at once."""


class LaneJournal:
    """What is kept of one lane.

    Attributes:
        waits: how long its callers waited.
        admitted: how many were admitted in the last minute.
        refused: how many of its calls the provider refused.
    """

    __slots__ = ("admitted", "refused", "waits")

    def __init__(self) -> None:
        self.waits = Waits()
        self.admitted = Minute()
        self.refused = 0


@dataclass(slots=True)
class _Permit:
    """A permit that is not known to be over, and since when."""

    lane: str
    since: float
    placed: bool = False


class Journal:
    """Keeps what an `Overview` needs beside the gate; a `Listener`, in memory that doesn't grow.

    It has no timer, and costs a few counts for each event. Make it in the gate's event loop, and
    pass it as ``listener=``.

    Args:
        clock: the event loop's clock, in seconds; None for that of the running loop.
        wall: the wall clock, in seconds since 1970; only for showing.

    Attributes:
        hears: the events that it hears.
        clock: the event loop's clock.
        workspace: the hash of the workspace; empty before the first event.
        lanes: by lane, what is kept of it.
        limits: the provider's latest answer; None before the first.
        premises: what was said and what was seen, by the premise that was seen to be wrong.
        burst: the calls that began as burst.
    """

    hears: Final = OF_CALLS | OF_THE_GATE | {Admitted, ReadingTaken}

    def __init__(
        self,
        clock: Callable[[], float] | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock or clock_of(asyncio.get_running_loop())
        self.workspace = ""
        self.lanes: defaultdict[str, LaneJournal] = defaultdict(LaneJournal)
        self.limits: Limits | None = None
        self.premises: dict[str, tuple[float | None, float | None]] = {}
        self.burst = BurstCalls(self.clock(), wall)
        self._wall = wall
        self._starts: defaultdict[str, Minute] = defaultdict(Minute)
        self._permits: OrderedDict[str, _Permit] = OrderedDict()
        # Calls whose end was told before the permit that they have.
        self._ended_early: FIFOCache[str, None] = FIFOCache(1000)
        self._of_calls: deque[tuple[float, Event | BatchForwarded]] = deque(maxlen=_EVENTS)
        self._of_the_gate: deque[tuple[float, Event | BatchForwarded]] = deque(maxlen=_EVENTS)
        self._points: deque[Point] = deque(maxlen=_POINTS)
        self._gate: Gate | None = None
        self._steps: Mapping[type, Callable[[Any], None]] = {
            Admitted: self._admitted,
            Placed: self._placed,
            Cancelled: self._never_was,
            Refused: self._refused,
            Ended: self._ended,
            ReadingTaken: self._reading_taken,
            PremiseBroken: self._premise_broken,
        }

    def __call__(self, event: Event | BatchForwarded, /) -> None:
        """Take note of an event."""
        now, kind = self.clock(), type(event)
        self.workspace = event.workspace
        if kind in OF_CALLS:
            self._of_calls.append((now, event))
        elif kind in OF_THE_GATE:
            self._of_the_gate.append((now, event))
        step = self._steps.get(kind)
        if step is not None:
            step(event)

    def opened(self, gate: Gate) -> None:
        """Take the gate, whose snapshots add points to the chart even if nobody looks."""
        self._gate = gate

    def wall_at(self, moment: float) -> float:
        """A moment of the event loop's clock in seconds since 1970."""
        return self._wall() - (self.clock() - moment)

    def starts_in_last_minute(self, trunk: str) -> int:
        """How many calls were admitted on a limited trunk in the last minute."""
        starts = self._starts.get(trunk)
        return 0 if starts is None else starts.total(self.clock())

    def happenings(self) -> tuple[Happening, ...]:
        """The latest events, the newest first: at most 200, half of them of single calls."""
        offset = self.wall_at(0.0)
        newest_first = merge(
            reversed(self._of_calls), reversed(self._of_the_gate), key=_moment, reverse=True
        )
        return tuple(
            Happening(offset + at, type(event).__name__, sentence(event))
            for at, event in newest_first
        )

    def holders(self, placed: Mapping[str, PlacedState]) -> Iterator[Holder]:
        """The permits whose calls may be going on, the oldest first.

        Args:
            placed: the gate's placed calls that can be going on; see `Gate.placed_permits`. Others
                that were placed are forgotten.
        """
        now, worker = self.clock(), this_process()
        over = [each for each, it in self._permits.items() if it.placed and each not in placed]
        for permit_id in over:
            del self._permits[permit_id]
        for permit_id, permit in self._permits.items():
            state = placed[permit_id] if permit.placed else "dialling"
            yield Holder(permit_id, worker, permit.lane, state, now - permit.since)

    def mark(self, usage: Usage, limits: Limits | None, *, stale: bool = False) -> None:
        """Add a point to the chart, unless there is one of this second.

        Args:
            usage: the usage now.
            limits: the limits; None if unknown.
            stale: whether the snapshot is too old, so that what it counted is unknown by now.
        """
        now = self.clock()
        if self._points and int(now) == int(self._points[-1].at):
            return
        if usage.total is not None and not stale:
            self.burst.going_on(usage.total, now)
        bursts = limits is not None and limits.concurrency_burst_enabled
        self._points.append(
            Point(
                at=now,
                reported=None if stale else usage.reported,
                dialling=usage.dialling,
                uncounted=usage.uncounted,
                others=None if stale else usage.others_at_least,
                limit=None if limits is None else limits.concurrency_limit,
                reserved=None if limits is None else limits.reserved_inbound_concurrency,
                burst=limits.concurrency_burst_limit if limits is not None and bursts else None,
            )
        )

    def points(self) -> tuple[Point, ...]:
        """The points of the last ten minutes, the oldest first."""
        offset, since = self.wall_at(0.0), self.clock() - _POINTS
        return tuple(replace(each, at=offset + each.at) for each in self._points if each.at > since)

    # The events that are more than a sentence --------------------------------------------------

    def _admitted(self, event: Admitted) -> None:
        lane, now = self.lanes[event.lane], self.clock()
        lane.waits.add(now, event.waited)
        lane.admitted.add(now)
        if event.trunk is not None:
            self._starts[event.trunk].add(now)
        if event.tier == "burst":
            self.burst.began(event.permit_id, now)
        self._remember(event.permit_id, _Permit(event.lane, now))

    def _placed(self, event: Placed) -> None:
        permit = self._permits.get(event.permit_id)
        if permit is None:  # it had been given back
            permit = _Permit(event.lane, self.clock())
            self._remember(event.permit_id, permit)
        permit.placed = True
        if event.call_id is not None and event.call_id in self._ended_early:
            self._over(event.permit_id)

    def _ended(self, event: Ended) -> None:
        if event.permit_id is not None:
            self._over(event.permit_id)
        elif event.call_id is not None:
            self._ended_early[event.call_id] = None

    def _over(self, permit_id: str) -> None:
        self._permits.pop(permit_id, None)
        self.burst.ended(permit_id, self.clock())

    def _refused(self, event: Refused) -> None:
        if event.lane is not None:
            self.lanes[event.lane].refused += 1
        if event.permit_id is not None:
            self._permits.pop(event.permit_id, None)
            self.burst.never_was(event.permit_id)

    def _never_was(self, event: Cancelled) -> None:
        self._permits.pop(event.permit_id, None)
        self.burst.never_was(event.permit_id)

    def _reading_taken(self, event: ReadingTaken) -> None:
        self.limits = event.snapshot.limits
        if self._gate is not None:
            self.mark(self._gate.statistics().usage, self.limits)

    def _premise_broken(self, event: PremiseBroken) -> None:
        self.premises[event.premise] = event.said, event.seen

    def _remember(self, permit_id: str, permit: _Permit) -> None:
        self._permits[permit_id] = permit
        if len(self._permits) > _MOST:
            self._permits.popitem(last=False)


def _moment(dated: tuple[float, Event | BatchForwarded]) -> float:
    return dated[0]
