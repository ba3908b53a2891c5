"""The queues of a gate: one for each lane, and whose first caller goes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from callguard.errors import UsageError
from callguard.gate.queue import Queue
from callguard.lanes import Lane
from callguard.ledger import Claim
from callguard.limits import Limits
from callguard.showing import shown

__all__ = ["Queues"]


class Queues:
    """The queues, by lane. Nobody is admitted here.

    Args:
        lanes: the gate's, each of which has a queue.
    """

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._queues = [Queue(lane) for lane in lanes]
        self._by_name = {queue.lane.name: queue for queue in self._queues}
        self._default = next((queue for queue in self._queues if queue.lane.default), None)
        self._last_rank = 0

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues)

    def __bool__(self) -> bool:
        return any(queue.length for queue in self._queues)

    def __getitem__(self, name: str) -> Queue:
        return self._by_name[name]

    def of(self, lane: Lane | str | None) -> Queue:
        """The queue of a lane, named as a caller names it.

        Raises:
            TypeError: neither a lane nor a name.
            UsageError: the gate has no such lane, or no default one.
        """
        if lane is None:
            return self.default()
        name = lane.name if isinstance(lane, Lane) else lane
        if not isinstance(name, str):
            raise TypeError(
                f"lane must be one of the gate's lanes or its name, got {shown(lane)}; seconds to "
                "wait are timeout=..."
            )
        if name not in self._by_name:
            raise UsageError(
                f"no lane {shown(name)}, only {self._known()}; name it in open_gate(lanes=...)"
            )
        queue = self._by_name[name]
        if isinstance(lane, Lane) and lane != queue.lane:
            raise UsageError(f"the gate was opened with {queue.lane}, which is not {lane}")
        return queue

    def default(self) -> Queue:
        """The queue of callers that name no lane.

        Raises:
            UsageError: they have to.
        """
        if self._default is None:
            raise UsageError(
                f"the gate has lanes, and none is the default: name one of {self._known()}, as in "
                "gate.admit(lane), or say Lane(..., default=True) of one of them"
            )
        return self._default

    def _known(self) -> str:
        return ", ".join(repr(queue.lane.name) for queue in self._queues)

    def next_rank(self) -> int:
        """A place in the order of arrival, over all lanes, behind everyone who has one."""
        self._last_rank += 1
        return self._last_rank

    def apply(self, limits: Limits) -> None:
        """Take the ceilings from a new snapshot."""
        for queue in self._queues:
            queue.apply(limits)

    def next_to_go(self, in_use: int) -> Queue | None:
        """The queue whose first caller goes next when `in_use` calls are counted, if any may.

        A higher lane goes before a lower one, and the earlier caller between equal lanes. A lane
        that can't go doesn't hold up one that can.
        """
        best: Queue | None = None
        for queue in self._queues:
            if queue.length and in_use < queue.ceiling and (best is None or queue.before(best)):
                best = queue
        return best

    def claims(self, now: float) -> list[Claim]:
        """What the queued callers need of a shared ledger: a claim for each lane that has any."""
        return [
            Claim(
                queue.lane.name,
                queue.lane.priority,
                queue.ceiling,
                queue.length,
                now - queue.first.since,
            )
            for queue in self._queues
            if queue.length
        ]
