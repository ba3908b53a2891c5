"""The events for the listeners.

Only a gate with a listener imports this. Most gates have none, and making the events' classes takes
a twentieth of callguard's import time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypedDict, get_args

from callguard.decision import Pause, Tier
from callguard.errors import CallGuardError
from callguard.events import (
    Admitted,
    Cancelled,
    Ended,
    Event,
    GivenUp,
    LedgerAway,
    LedgerBack,
    LeftQueue,
    LimitsChanged,
    Listener,
    OutageBegan,
    OutageEnded,
    Paused,
    PermitLost,
    Placed,
    PremiseBroken,
    Queued,
    ReadingFailed,
    ReadingTaken,
    Refused,
    Resumed,
    RingingLearnt,
    TimedOut,
)
from callguard.limits import Limits, Snapshot
from callguard.premises import Broken
from callguard.showing import named
from callguard.strangers import log_failure

if TYPE_CHECKING:
    from callguard.gate.gate import Gate

__all__ = ["Teller"]


KINDS: Final[Sequence[type[Event]]] = get_args(Event)
"""Every kind of event."""


class Names(TypedDict):
    """The fields of every event that name its origin."""

    gate: str
    workspace: str


class Teller:
    """Reports to the listeners; see `callguard.events` for the events.

    Args:
        listeners: called with every event, one after the other.
        gate: the gate's id.
        workspace: the hash of the workspace for events.

    Attributes:
        hears_admitted: whether any listener hears `Admitted`; else no such event is made.
        hears_placed: the same of `Placed`.
    """

    def __init__(self, listeners: Sequence[Listener], gate: str, workspace: str) -> None:
        self._listeners = listeners
        self._hearing = {kind: [each for each in listeners if _hears(each, kind)] for kind in KINDS}
        self.hears_admitted = bool(self._hearing[Admitted])
        self.hears_placed = bool(self._hearing[Placed])
        self._names: Names = {"gate": gate, "workspace": workspace}

    def _tell(self, event: Event) -> None:
        """Pass `event` to who hears it; the exceptions of listeners are logged, no more."""
        for listener in self._hearing[type(event)]:
            try:
                listener(event)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001, `future.result()` raises CancelledError
                _log(listener, type(event).__name__, error)

    # Of the gate -------------------------------------------------------------------------------

    def opened(self, gate: Gate) -> None:
        """Hand the open gate to those listeners that have a method `opened`."""
        self._hand("opened", gate)

    def closed(self, gate: Gate) -> None:
        """Tell those listeners that have a method `closed` that the gate is closed."""
        self._hand("closed", gate)

    def _hand(self, method: str, gate: Gate) -> None:
        for listener in self._listeners:
            try:
                take = getattr(listener, method, None)
                if callable(take):
                    take(gate)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001, as above
                _log(listener, method, error)

    # Of a caller -------------------------------------------------------------------------------

    def queued(self, lane: str, waiting: int) -> None:
        if self._hearing[Queued]:
            self._tell(Queued(lane, waiting, **self._names))

    def admitted(
        self, permit_id: str, lane: str, tier: Tier, waited: float, trunk: str | None
    ) -> None:
        self._tell(Admitted(permit_id, lane, tier, waited, trunk, **self._names))

    def timed_out(self, lane: str, waited: float) -> None:
        self._tell(TimedOut(lane, waited, **self._names))

    def left_queue(
        self, lane: str, waited: float, why: Literal["cancelled", "closed", "rejected"]
    ) -> None:
        self._tell(LeftQueue(lane, waited, why, **self._names))

    # Of a call ---------------------------------------------------------------------------------

    def placed(self, permit_id: str, lane: str, call_id: str | None) -> None:
        self._tell(Placed(permit_id, lane, call_id, **self._names))

    def cancelled(self, permit_id: str, lane: str) -> None:
        if self._hearing[Cancelled]:
            self._tell(Cancelled(permit_id, lane, **self._names))

    def refused(
        self, permit_id: str | None, lane: str | None, status: int | None, call_id: str | None
    ) -> None:
        self._tell(Refused(permit_id, lane, status, call_id, **self._names))

    def ended(self, permit_id: str | None, lane: str | None, call_id: str | None) -> None:
        self._tell(Ended(permit_id, lane, call_id, **self._names))

    def permit_lost(self, permit_id: str, lane: str) -> None:
        self._tell(PermitLost(permit_id, lane, **self._names))

    # Of a pause --------------------------------------------------------------------------------

    def paused(self, pause: Pause) -> None:
        self._tell(Paused(pause.lane, pause.trunk, pause.by, pause.reason, **self._names))

    def resumed(self, pause: Pause) -> None:
        self._tell(Resumed(pause.lane, pause.trunk, pause.seconds, **self._names))

    # Of the limits and the ledger ----------------------------------------------------------------

    def reading_taken(self, snapshot: Snapshot, duration: float) -> None:
        age = snapshot.received - snapshot.began
        self._tell(ReadingTaken(snapshot, duration, age, **self._names))

    def limits_changed(self, before: Limits, after: Limits) -> None:
        self._tell(LimitsChanged(before, after, **self._names))

    def premise_broken(self, broken: Broken) -> None:
        self._tell(PremiseBroken(broken.premise, broken.said, broken.seen, **self._names))

    def given_up(self, setting: str) -> None:
        self._tell(GivenUp(setting, **self._names))

    def ringing_learnt(self, *, counted: bool, applied: bool) -> None:
        self._tell(RingingLearnt(counted, applied, **self._names))

    def reading_failed(self, error: CallGuardError, duration: float, age: float | None) -> None:
        self._tell(ReadingFailed(*_told(error), duration, age, **self._names))

    def outage_began(self, error: CallGuardError) -> None:
        self._tell(OutageBegan(*_told(error), **self._names))

    def outage_ended(self, duration: float) -> None:
        self._tell(OutageEnded(duration, **self._names))

    def ledger_away(self, error: CallGuardError) -> None:
        self._tell(LedgerAway(*_told(error), **self._names))

    def ledger_back(self, duration: float) -> None:
        self._tell(LedgerBack(duration, **self._names))


def _hears(listener: Listener, kind: type[Event]) -> bool:
    """Whether a listener hears events of a kind: of all, unless it names those that it hears."""
    heard = getattr(listener, "hears", None)
    return not isinstance(heard, Collection) or kind in heard


def _log(listener: Listener, occasion: str, error: BaseException) -> None:
    log_failure(f"the listener {named(listener)} failed on {occasion}", error)


def _told(error: CallGuardError) -> tuple[str, str]:
    """The class name and the text of an error, as events have them."""
    return type(error).__name__, str(error)
