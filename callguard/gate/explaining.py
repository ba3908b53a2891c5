"""The gate's decisions and denials, with every number that they are made from."""

from __future__ import annotations

import copy

from callguard.clock import Watch
from callguard.decision import Decision, Outage, decide
from callguard.errors import (
    AdmissionTimeout,
    CallGuardError,
    LedgerUnavailable,
    LimitsUnavailable,
    NoHeadroom,
    QueueFull,
)
from callguard.gate.foresight import Foresight
from callguard.gate.queue import Queue
from callguard.gate.queues import Queues
from callguard.gate.schedule import Schedule
from callguard.ledger import Ledger

__all__ = ["Explainer"]


class Explainer:
    """Makes the decision for a lane and trunk, and the error of a denial.

    Args:
        watch: the gate's clock.
        ledger: the gate's ledger.
        schedule: knows why there is no snapshot.
        queues: the waiting callers, and the pauses.
        max_age: seconds that a snapshot may be trusted.
    """

    def __init__(
        self, watch: Watch, ledger: Ledger, schedule: Schedule, queues: Queues, max_age: float
    ) -> None:
        self._watch = watch
        self._ledger = ledger
        self._schedule = schedule
        self._queues = queues
        self._foresight = Foresight(queues, ledger)
        self._max_age = max_age

    def decide(self, queue: Queue) -> Decision:
        """Whether a call of the queue's lane and trunk would be admitted now, and why."""
        self._watch.look()
        now = self._watch.time()
        trunk = queue.rated
        return decide(
            queue.lane,
            self._ledger.usage(),
            self._ledger.snapshot,
            now=now,
            max_age=self._max_age,
            withheld=self._ledger.withheld,
            outage=self.outage(),
            trunk=trunk,
            due_in=None if trunk is None else self.due_in(trunk),
            reading_in=self._reading_in(),
            pause=self._queues.pause_on(queue) if queue.paused else None,
            eta=self._foresight.eta(queue, now),
        )

    def due_in(self, trunk: str) -> float:
        """Seconds until a trunk is due, at least 0; the trunk must have a rate."""
        return max(0.0, self._ledger.due_at(trunk) - self._watch.time())

    def needs_no_reading(self, queue: Queue) -> bool:
        """Whether no snapshot can help: only the trunk isn't due, or there is a pause."""
        return self.decide(queue).constraint in {"rate", "paused"}

    def outage(self) -> Outage | None:
        """Since when the limits can't be read, and why; None if they can, or nobody tries."""
        away = self._ledger.withheld == "ledger away"
        if isinstance(self._schedule.error, LedgerUnavailable) and not away:
            return None  # the ledger is back, and no reading was wanted since
        return self._schedule.outage()

    def denied(self, queue: Queue) -> CallGuardError:
        """The error for a caller that doesn't wait."""
        if self._schedule.final is not None:
            return copy.copy(self._schedule.final)
        decision = self.decide(queue)
        if decision.constraint in {"no snapshot", "snapshot too old"}:
            return LimitsUnavailable(str(decision))
        return NoHeadroom(decision, self._retry_after(decision))

    def timed_out(self, queue: Queue) -> AdmissionTimeout:
        """The error for a caller that has waited as long as it may."""
        decision = self.decide(queue)
        return AdmissionTimeout(decision, self._retry_after(decision))

    def queue_full(self, queue: Queue) -> QueueFull:
        """The error for a caller that finds the queue full."""
        decision = self.decide(queue)
        return QueueFull(decision, self._retry_after(decision))

    def _retry_after(self, decision: Decision) -> float | None:
        if decision.pause is not None:
            return None
        return self._reading_in() if decision.lifts_in is None else decision.lifts_in

    def _reading_in(self) -> float:
        return max(0.0, self._ledger.readings.due_at - self._watch.time())
