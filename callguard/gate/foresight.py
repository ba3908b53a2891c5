"""The estimate of a caller's wait: who is ahead in the queues, and how fast callers go."""

from __future__ import annotations

from collections.abc import Sequence

from callguard.eta import Eta, Rate
from callguard.gate.queue import Queue
from callguard.gate.queues import Queues
from callguard.ledger import Ledger

__all__ = ["Foresight"]


class Foresight:
    """Estimates waits by the rate at which callers of the queues recently went.

    The rate of a queue already reflects the slots that others take in the meantime: callers on
    equal lanes, on other workers, and those who will join higher lanes later. Only callers that
    already wait on a higher lane have to be added.

    Args:
        queues: the waiting callers.
        ledger: the gate's ledger.
    """

    def __init__(self, queues: Queues, ledger: Ledger) -> None:
        self._queues = queues
        self._ledger = ledger

    def eta(self, queue: Queue, now: float) -> Eta | None:
        """How long a caller that joins `queue` at `now` would wait; None if unknown."""
        if queue.paused:
            return None
        has_slots = self._ledger.in_use < queue.ceiling
        ahead = [
            each
            for each in self._queues
            if each.length and not each.paused and (each.trunk is queue.trunk or not has_slots)
            if each is not queue and each.lane.priority <= queue.lane.priority
        ]
        paced = self._paced(queue, ahead, now)
        others = sum(each.length for each in ahead)
        may_fill = self._may_fill(queue, ahead, now)
        if (
            paced is not None
            and not may_fill
            and self._ledger.in_use + others + queue.length < queue.ceiling
        ):
            return Eta(paced, paced)
        rate = queue.flow.rate(now)
        if rate is None and may_fill:
            return None  # when calls end on this trunk, no other tells
        if rate is None:
            place, rate = float(others), self._of_any(now)
        else:
            higher = [each for each in ahead if each.lane.priority < queue.lane.priority]
            place = sum(_as_many(each, rate, now) for each in higher)
        if rate is None:
            return None
        return rate.eta(place + queue.length + 1).at_least(paced or 0.0)

    def _may_fill(self, queue: Queue, ahead: Sequence[Queue], now: float) -> bool:
        """Whether the trunk may be full before it is such a caller's turn."""
        trunk = queue.trunk
        if trunk is None or trunk.calls is None:
            return False
        first = queue.length + sum(each.length for each in ahead if each.trunk is trunk)
        return self._ledger.calls_on(trunk.name, now) + first >= trunk.calls

    def _of_any(self, now: float) -> Rate | None:
        """The best known rate of any queue, for a queue that has none yet."""
        known = [rate for queue in self._queues if (rate := queue.flow.rate(now)) is not None]
        return max(known, key=lambda rate: rate.grants, default=None)

    def _paced(self, queue: Queue, ahead: Sequence[Queue], now: float) -> float | None:
        """Seconds that the caller waits for the trunk's rate alone; None if it has no rate."""
        trunk = queue.trunk
        if trunk is None:
            return None
        starts = queue.length + sum(each.length for each in ahead if each.trunk is trunk)
        return self._ledger.due_at(trunk.name, now, behind=starts) - now


def _as_many(queue: Queue, rate: Rate, now: float) -> float:
    """How many grants at `rate` take as long as the grants of all callers in `queue`."""
    theirs = queue.flow.rate(now)
    if theirs is None or not rate.mean:
        return queue.length
    return queue.length * theirs.mean / rate.mean
