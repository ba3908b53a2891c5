"""What can be asked of a gate, and changes nothing."""

from __future__ import annotations

from callguard.decision import Decision
from callguard.eta import Eta
from callguard.gate.assembly import Parts
from callguard.gate.statistics import GateStatistics
from callguard.lanes import Lane
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["Observing"]


class Observing:
    """The part of a `Gate` that says how things are, why, and until when."""

    _parts: Parts

    def explain(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Decision:
        """Whether a call would be admitted on `lane` and `trunk` now, and why or why not.

        Raises:
            GateClosed: the gate is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
        """
        self._parts.home.check_open()
        return self._parts.explainer.decide(self._parts.admissions.queues.of(lane, trunk))

    def eta(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Eta | None:
        """How long a caller would wait that joined the queue of `lane` and `trunk` now.

        By the rate at which callers went of late while others waited, and the trunk's own.

        Returns:
            Zeros where a call would be admitted at once; None where nothing was granted of late to
            anybody who had waited, or nobody knows until when all is stopped.

        Raises:
            GateClosed: the gate is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
        """
        return self.explain(lane, trunk=trunk).eta

    def statistics(self) -> GateStatistics:
        """A frozen picture of the gate; also of a closed one.

        Raises:
            UsageError: the gate belongs to another event loop.
        """
        parts, queues = self._parts, self._parts.admissions.queues
        if parts.home.open_in is not None:
            parts.home.check()
        ledger, explainer = parts.ledger, parts.explainer
        decisions = {lane.name: explainer.decide(queues.of(lane)) for lane in queues.lanes}
        snapshot = ledger.snapshot
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
            pauses=list(queues.halts.all()),
            premises_broken=parts.reporter.premises_broken,
        )
