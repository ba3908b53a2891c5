"""The questions that a gate answers without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callguard.decision import Decision
from callguard.eta import Eta
from callguard.gate.assembly import Parts
from callguard.lanes import Lane
from callguard.ledger import PlacedState
from callguard.trunks import DEFAULT_TRUNK, Trunk

if TYPE_CHECKING:
    from callguard.gate.statistics import GateStatistics

__all__ = ["Observing"]


class Observing:
    """The part of a `Gate` that explains its state."""

    _parts: Parts

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The gate's lanes, higher ones first."""
        return tuple(sorted(self._parts.admissions.queues.lanes, key=lambda lane: lane.priority))

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """The gate's trunks that are limited."""
        return tuple(trunk for trunk in self._parts.admissions.queues.trunks if trunk.is_limited)

    def placed_permits(self) -> Mapping[str, PlacedState]:
        """By the ids of the gate's permits, its placed calls that can be going on.

        A call is "uncounted" until a snapshot surely counts it, then "counted" until it is known
        to be over, or more calls are counted as going on than the provider counts.
        """
        issuer = self._parts.issuer
        found = self._parts.ledger.placed_permits()
        return {issuer.id_of(number): state for number, state in found.items()}

    def explain(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Decision:
        """Explain whether a call would be admitted on `lane` and `trunk` now, and why or why not.

        Raises:
            GateClosed: the gate is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
        """
        self._parts.home.check_open()
        return self._parts.explainer.decide(self._parts.admissions.queues.of(lane, trunk))

    def eta(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Eta | None:
        """Estimate how long a caller that joined the queue of `lane` and `trunk` now would wait.

        The estimate rests on the recent rate of grants to waiting callers, and the trunk's rate.

        Returns:
            Zeros if a call would be admitted at once; None if no waiting caller was granted a slot
            recently, or if it is unknown how long admission is stopped.

        Raises:
            GateClosed: the gate is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
        """
        return self.explain(lane, trunk=trunk).eta

    def statistics(self) -> GateStatistics:
        """Return a frozen picture of the gate, open or closed.

        Raises:
            UsageError: the gate belongs to another event loop.
        """
        from callguard.gate.statistics import GateStatistics, QueueAdmissions

        parts, queues = self._parts, self._parts.admissions.queues
        if parts.home.open_in is not None:
            parts.home.check()
        ledger, explainer = parts.ledger, parts.explainer
        decisions = {lane.name: explainer.decide(queues.of(lane)) for lane in queues.lanes}
        snapshot, ringing = ledger.snapshot, parts.ringing
        return GateStatistics(
            usage=ledger.usage(),
            ceilings={name: made.ceilings for name, made in decisions.items()},
            headroom={name: made.headroom for name, made in decisions.items()},
            waiting=queues.waiting(),
            eta={name: made.eta for name, made in decisions.items()},
            due_in={trunk: explainer.due_in(trunk) for trunk in queues.rated},
            snapshot_age=None if snapshot is None else parts.watch.time() - snapshot.began,
            admitted=ledger.granted,
            refused=parts.issuer.refusals,
            timed_out=parts.admissions.timeouts,
            readings=parts.reporter.readings,
            outage=explainer.outage(),
            pauses=list(queues.pauses.all()),
            premises_broken=parts.reporter.premises_broken,
            on_trunk={
                trunk.name: on for trunk in queues.filling if (on := explainer.on_trunk(trunk))
            },
            given_up=list(parts.reporter.given_up),
            ringing_score=None if ringing is None else ringing.score,
            ringing_learnt=ringing is not None and ringing.applied,
            limits=None if snapshot is None else snapshot.limits,
            admissions=[
                QueueAdmissions(
                    queue.lane.name,
                    queue.limited,
                    queue.admitted - queue.burst,
                    queue.burst,
                    queue.cancelled,
                    queue.waits.picture(),
                )
                for queue in queues
            ],
        )
