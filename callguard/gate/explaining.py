"""The gate's decisions and denials, with every number that they are made from."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from callguard.clock import Watch
from callguard.decision import Constraint, Decision, OnTrunk, Outage, decide
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
from callguard.gate.reporting import Reporter
from callguard.gate.schedule import Schedule
from callguard.ledger import Ledger
from callguard.trunks import Trunk

__all__ = ["Explainer"]

_BESIDE_THE_COUNT: Final[Collection[Constraint]] = {"paused", "trunk full", "rate"}
"""What keeps a call out though it fits by the count."""


class Explainer:
    """Makes the decision for a lane and trunk, and the error of a denial.

    Args:
        watch: the gate's clock.
        ledger: the gate's ledger.
        schedule: knows why there is no snapshot.
        queues: the waiting callers, and the pauses.
        reporter: knows which premises don't hold, what was learnt and what was given up.
        max_age: seconds that a snapshot may be trusted.
    """

    def __init__(
        self,
        watch: Watch,
        ledger: Ledger,
        schedule: Schedule,
        queues: Queues,
        reporter: Reporter,
        max_age: float,
    ) -> None:
        self._watch = watch
        self._ledger = ledger
        self._schedule = schedule
        self._queues = queues
        self._foresight = Foresight(queues, ledger)
        self._reporter = reporter
        self._max_age = max_age

    def decide(self, queue: Queue) -> Decision:
        """Whether a call of the queue's lane and trunk would be admitted now, and why."""
        self._watch.look()
        now = self._watch.time()
        trunk = queue.limited
        decision = decide(
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
            on_trunk=None if queue.trunk is None else self.on_trunk(queue.trunk),
            inbound=self._ledger.inbound,
        )
        return self._annotated(decision)

    def _annotated(self, decision: Decision) -> Decision:
        """The decision with what the gate has come to know of its settings."""
        reporter = self._reporter
        if not (reporter.what_broke or reporter.given_up or reporter.goes_by_ringing):
            return decision
        return replace(
            decision,
            premises=reporter.what_broke,
            given_up=reporter.given_up,
            ringing_learnt=reporter.goes_by_ringing,
        )

    def due_in(self, trunk: str) -> float:
        """Seconds until a trunk is due, at least 0; the trunk must have a rate."""
        now = self._watch.time()
        return self._ledger.due_at(trunk, now) - now

    def on_trunk(self, trunk: Trunk) -> OnTrunk | None:
        """The calls on a trunk; None where that takes any number."""
        if trunk.calls is None:
            return None
        return OnTrunk(self._ledger.calls_on(trunk.name, self._watch.time()), trunk.calls)

    def needs_no_reading(self, queue: Queue) -> bool:
        """Whether no snapshot can help: only the trunk is in the way, or there is a pause."""
        return self.decide(queue).constraint in _BESIDE_THE_COUNT

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
        if decision.lifts_in is None and decision.constraint in _BESIDE_THE_COUNT:
            return None
        return self._reading_in() if decision.lifts_in is None else decision.lifts_in

    def _reading_in(self) -> float:
        return max(0.0, self._ledger.readings.due_at - self._watch.time())
