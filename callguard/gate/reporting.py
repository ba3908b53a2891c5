"""What the gate says of itself: events for the listener, two log lines an outage, and counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias, TypedDict, get_args

from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsMalformed,
    LimitsUnavailable,
)
from callguard.events import (
    Event,
    LimitsChanged,
    Listener,
    OutageBegan,
    OutageEnded,
    ReadingFailed,
    ReadingTaken,
)
from callguard.limits import Limits, Snapshot
from callguard.showing import named
from callguard.strangers import log_failure

__all__ = ["Names", "Outcome", "Reporter", "told"]

Outcome: TypeAlias = Literal["taken", "rejected", "unavailable", "malformed"]
"""How an attempt to read the limits ended."""

logger = logging.getLogger("callguard")


class Names(TypedDict):
    """What every event says of where it comes from."""

    gate: str
    workspace: str


class Reporter:
    """Tells the listener, writes the log and counts; nothing is decided from it.

    Args:
        listener: gets every event, or None.
        gate: the gate's id.
        workspace: what stands for the workspace.

    Attributes:
        listens: whether anybody hears the events.
        names: what every event says of where it comes from.
    """

    def __init__(self, listener: Listener | None, gate: str, workspace: str) -> None:
        self.listens = listener is not None
        self.names: Names = {"gate": gate, "workspace": workspace}
        self._listener = listener
        self._outage_since: float | None = None
        self._readings: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)

    @property
    def readings(self) -> Mapping[Outcome, int]:
        """The attempts to read the limits so far, by outcome."""
        return self._readings.copy()

    def tell(self, event: Event) -> None:
        """Pass `event` to the listener; what that raises is logged and goes no further."""
        if self._listener is None:
            return
        try:
            self._listener(event)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001, `future.result()` raises CancelledError, say
            log_failure(
                f"the listener {named(self._listener)} failed on {type(event).__name__}", error
            )

    def reading_taken(self, snapshot: Snapshot, before: Snapshot | None, duration: float) -> None:
        """A reading came, `duration` seconds after it was asked for."""
        self._readings["taken"] += 1
        self.tell(
            ReadingTaken(snapshot, duration, snapshot.received - snapshot.began, **self.names)
        )
        if before is not None and _standing(before.limits) != _standing(snapshot.limits):
            self.tell(LimitsChanged(before.limits, snapshot.limits, **self.names))
        if self._outage_since is not None:
            self._end_outage(snapshot.received - self._outage_since)

    def reading_failed(
        self, error: CallGuardError, now: float, duration: float, age: float | None
    ) -> None:
        """No reading came, after `duration` seconds; that in hand is `age` seconds old at `now`."""
        self._readings[_outcome(error)] += 1
        self.tell(ReadingFailed(*told(error), duration, age, **self.names))
        if self._outage_since is None:
            self._outage_since = now
            self._begin_outage(error, age)

    def _begin_outage(self, error: CallGuardError, age: float | None) -> None:
        in_hand = "there is no snapshot" if age is None else f"the last snapshot is {age:.1f} s old"
        logger.warning(
            "the limits can't be read: %s; %s",
            error,
            in_hand,
            extra={"callguard.error": str(error), "callguard.snapshot_age": age},
        )
        self.tell(OutageBegan(*told(error), **self.names))

    def _end_outage(self, duration: float) -> None:
        self._outage_since = None
        logger.info(
            "the limits can be read again, after %.1f s",
            duration,
            extra={"callguard.duration": duration},
        )
        self.tell(OutageEnded(duration, **self.names))


def told(error: CallGuardError) -> tuple[str, str]:
    """What events say of an error: the name of its class, and its text."""
    return type(error).__name__, str(error)


def _standing(limits: Limits) -> Limits:
    """The limits without the count, which changes at every call."""
    return replace(limits, current_concurrency=0)


def _outcome(error: CallGuardError) -> Outcome:
    if isinstance(error, LimitsMalformed):
        return "malformed"
    outage = isinstance(error, LimitsUnavailable | LedgerUnavailable)
    return "unavailable" if outage else "rejected"
