"""The queues of a gate, one for each lane and trunk, and the order in which they are served."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic

from callguard.decision import Pause
from callguard.errors import UsageError
from callguard.gate.pauses import Pauses, Scope
from callguard.gate.queue import Queue
from callguard.lanes import Lane
from callguard.ledger import Claim
from callguard.limits import Limits
from callguard.pacing import Pace
from callguard.showing import shown
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["Queues"]


def _no_pace(_: str) -> Pace | None:
    return None


class Queues:
    """The queues, by lane and trunk. This class admits nobody.

    Each lane has a queue for callers that name no trunk from the beginning, and one for each other
    trunk once a call names it.

    Args:
        lanes: the gate's.
        trunks: the gate's, the default one among them.
        pace: when a trunk is due, where the ledger of this process says so; None where nothing
            limits it, or a server says it.

    Attributes:
        known: the queues by what callers have named so far: by lane, and by trunk.
        lanes: the gate's.
        trunks: the gate's.
        rated: the names of the trunks that have a rate.
        filling: those that take only so many calls at once.
        inbound_apart: whether a shared ledger is asked to count inbound calls apart; may be set.
        pauses: what is paused.
        due_at: when the first trunk is due on which somebody waited who would fit, as of the latest
            `next_to_go`; infinity for never.
    """

    def __init__(
        self,
        lanes: Iterable[Lane],
        trunks: Sequence[Trunk] = (),
        pace: Callable[[str], Pace | None] = _no_pace,
        time: Callable[[], float] = monotonic,
    ) -> None:
        self.lanes: Sequence[Lane] = list(lanes)
        self.trunks: Sequence[Trunk] = list(trunks)
        self._trunks: Mapping[str, Trunk] = {
            trunk.name: trunk for trunk in (Trunk(DEFAULT_TRUNK, cps=None), *trunks)
        }
        self.rated: Sequence[str] = [trunk.name for trunk in trunks if trunk.cps is not None]
        self.filling: Sequence[Trunk] = [trunk for trunk in trunks if trunk.calls is not None]
        self._pace = pace
        self._time = time
        self.pauses = Pauses(time)
        self._limits: Limits | None = None
        self._inbound: int | None = None
        self.inbound_apart = False
        self.due_at = math.inf
        self._last_rank = 0
        self._queues: list[Queue] = []
        self._ranked = len({lane.priority for lane in self.lanes}) > 1
        self._of_lane: dict[str, list[Queue]] = {lane.name: [] for lane in self.lanes}
        self.known: dict[object, dict[object, Queue]] = {}
        for lane in self.lanes:
            self.of(lane.name)
        by_default = (lane.name for lane in self.lanes if lane.default)
        self._default = next(map(self.of, by_default), None)

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues)

    def __bool__(self) -> bool:
        """Whether somebody waits whom a snapshot could help."""
        return any(queue.length and not queue.paused for queue in self._queues)

    def of(self, lane: Lane | str | None, trunk: Trunk | str | None = DEFAULT_TRUNK) -> Queue:
        """The queue of a lane and a trunk, named as a caller names them.

        Raises:
            TypeError: neither a lane nor a name, or neither a trunk nor a name nor None.
            UsageError: the gate has no such lane or trunk, or no default lane.
        """
        queue = self._found(self._lane(lane), self._trunk(trunk))
        self.known.setdefault(lane, {})[trunk] = queue
        return queue

    def _found(self, lane: Lane, trunk: Trunk | None) -> Queue:
        way = None if trunk is None else trunk.name
        queues = self._of_lane[lane.name]
        for queue in queues:
            if queue.way == way:
                return queue
        pace = None if way is None else self._pace(way)
        queue = Queue(lane, trunk, pace, queues, self._queues if self._ranked else ())
        if self._limits is not None:
            queue.apply(self._limits, self._inbound)
        queue.pause(self._time(), paused=self.pause_on(queue) is not None)
        self._queues.append(queue)
        return queue

    def scope(self, lane: Lane | str | None, trunk: Trunk | str | None) -> Scope:
        """The scope of a pause of a lane and a trunk; None for all lanes or trunks.

        Raises:
            TypeError: neither a lane nor a name, or neither a trunk nor a name.
            UsageError: the gate has no such lane or trunk.
        """
        way = self._trunk(trunk)
        return Scope(
            None if lane is None else self._lane(lane).name, None if way is None else way.name
        )

    def pause_on(self, queue: Queue) -> Pause | None:
        """The pause that applies to a queue, if there is one."""
        return self.pauses.on(queue.lane.name, queue.way)

    def look_at_pauses(self) -> None:
        """Bring the queues in line with the present pauses."""
        for queue in self._queues:
            queue.pause(self._time(), paused=self.pause_on(queue) is not None)

    def _lane(self, lane: Lane | str | None) -> Lane:
        if lane is None:
            if self._default is None:
                raise UsageError(
                    f"the gate has lanes, and none is the default, so name one of {self._names()}",
                    missing="lane",
                    remedy="gate.admit(lane), or say Lane(..., default=True) of one of them",
                )
            return self._default.lane
        name = lane.name if isinstance(lane, Lane) else lane
        if not isinstance(name, str):
            raise TypeError(
                f"lane must be one of the gate's lanes or its name, got {shown(lane)}; seconds to "
                "wait are timeout=..."
            )
        ours = next((each for each in self.lanes if each.name == name), None)
        if ours is None:
            raise UsageError(
                f"no lane {shown(name)}, only {self._names()}",
                missing="lanes",
                remedy="name it in open_gate(lanes=...)",
            )
        if isinstance(lane, Lane) and lane != ours:
            raise UsageError(f"the gate was opened with {ours}, which is not {lane}")
        return ours

    def _trunk(self, trunk: Trunk | str | None) -> Trunk | None:
        name = trunk.name if isinstance(trunk, Trunk) else trunk
        if name is None:
            return None
        if not isinstance(name, str):
            raise TypeError(
                f"trunk must be one of the gate's trunks, its name, or None, got {shown(trunk)}"
            )
        ours = self._trunks.get(name)
        if ours is None:
            known = ", ".join(map(repr, self._trunks))
            raise UsageError(
                f"no trunk {shown(name)}, only {known}",
                missing="trunks",
                remedy="name it in open_gate(trunks=...)",
            )
        if isinstance(trunk, Trunk) and trunk != ours:
            raise UsageError(f"the gate was opened with {ours}, which is not {trunk}")
        return ours

    def _names(self) -> str:
        return ", ".join(repr(lane.name) for lane in self.lanes)

    def waiting(self) -> dict[str, int]:
        """By lane, the callers in its queues, over all trunks."""
        return {
            name: sum(queue.length for queue in queues) for name, queues in self._of_lane.items()
        }

    def next_rank(self) -> int:
        """A new rank in the order of arrival over all lanes, after all others."""
        self._last_rank += 1
        return self._last_rank

    def apply(self, limits: Limits, inbound: int | None = None) -> None:
        """Update the ceilings, for a new snapshot or because others have more calls.

        Args:
            limits: the provider's answer.
            inbound: others' calls, where inbound calls are counted apart; else None.
        """
        self._limits, self._inbound = limits, inbound
        for queue in self._queues:
            queue.apply(limits, inbound)

    def next_to_go(self, in_use: int, now: float) -> Queue | None:
        """The queue whose first caller goes next at a usage of `in_use` calls, if any may go.

        A higher lane goes before a lower one, and the earlier caller between equal lanes. A lane or
        a trunk that can't go doesn't hold up one that can.
        """
        best: Queue | None = None
        self.due_at = math.inf
        for queue in self._queues:
            if queue.length and in_use < queue.ceiling:
                if queue.pace is not None and now < queue.pace.due_at:
                    self.due_at = min(self.due_at, queue.pace.due_at)
                elif best is None or queue.before(best):
                    best = queue
        return best

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        """Make the claims of the queued callers for a shared ledger.

        One claim for each lane and trunk; callers whose trunks nothing limits have one together.
        """
        claims: dict[object, Claim] = {}
        now = self._time()
        under = limits or (self._limits if self.inbound_apart else None)
        for queue in self._queues:
            if not queue.length or queue.paused:
                continue
            claim = Claim(
                queue.lane.name,
                queue.lane.priority,
                queue.ceiling if under is None else queue.ceiling_under(under),
                queue.length,
                now - queue.first().since,
                queue.trunk,
                queue.kept_free_under(under) if under and self.inbound_apart else None,
            )
            key = claim.key
            other = claims.get(key)
            claims[key] = claim if other is None else claim.together_with(other)
        return list(claims.values())

    def next_of(self, claim: Claim) -> Queue | None:
        """Of the queues that a claim is for, the one whose first caller goes next, if any waits."""
        best: Queue | None = None
        for queue in self._of_lane[claim.lane]:
            may_go = queue.length and not queue.paused and queue.trunk is claim.trunk
            if may_go and (best is None or queue.before(best)):
                best = queue
        return best
