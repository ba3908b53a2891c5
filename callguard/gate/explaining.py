"""Why not: the gate's no, with every number that it was made from."""

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
from callguard.gate.reading import Reader
from callguard.lanes import Lane
from callguard.ledger import Ledger

__all__ = ["Explainer"]


class Explainer:
    """Decides for a lane, and makes the errors of a no.

    Args:
        watch: the gate's clock.
        ledger: who holds what.
        reader: when the next snapshot is due, and why there is none.
        max_age: seconds that a snapshot may be trusted.
    """

    def __init__(self, watch: Watch, ledger: Ledger, reader: Reader, max_age: float) -> None:
        self._watch = watch
        self._ledger = ledger
        self._reader = reader
        self._max_age = max_age

    def decide(self, lane: Lane) -> Decision:
        """Whether a call would be admitted on `lane` now, and why or why not."""
        self._watch.look()
        return decide(
            lane,
            self._ledger.usage(),
            self._ledger.snapshot,
            now=self._watch.time(),
            max_age=self._max_age,
            withheld=self._ledger.withheld,
            outage=self.outage(),
        )

    def outage(self) -> Outage | None:
        """Since when the limits can't be read, and why; None where they can, or nobody tries."""
        away = self._ledger.withheld == "ledger away"
        if isinstance(self._reader.error, LedgerUnavailable) and not away:
            return None  # it is back, and nobody has wanted a snapshot since
        return self._reader.outage()

    def denied(self, lane: Lane) -> CallGuardError:
        """The error for a caller that doesn't wait."""
        if self._reader.final is not None:
            return copy.copy(self._reader.final)
        decision = self.decide(lane)
        if decision.constraint in {"no snapshot", "snapshot too old"}:
            due = "" if decision.outage else "; the next reading is not due yet"
            return LimitsUnavailable(f"{decision}{due}")
        return NoHeadroom(decision, self._retry_after())

    def timed_out(self, lane: Lane) -> AdmissionTimeout:
        """The error for a caller that has waited for as long as it may."""
        return AdmissionTimeout(self.decide(lane), self._retry_after())

    def queue_full(self, lane: Lane) -> QueueFull:
        """The error for a caller that finds as many in the queue as there may be."""
        return QueueFull(self.decide(lane), self._retry_after())

    def _retry_after(self) -> float:
        return max(0.0, self._reader.due_at - self._watch.time())
