"""Reports about readings and premises: events, a few log lines, and counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsMalformed,
    LimitsUnavailable,
)
from callguard.limits import Limits, Snapshot
from callguard.premises import Broken, Premise

if TYPE_CHECKING:
    from callguard.events import Listener
    from callguard.gate.telling import Teller

__all__ = ["Outcome", "Reporter"]

Outcome: TypeAlias = Literal["taken", "rejected", "unavailable", "malformed"]
"""How an attempt to read the limits ended."""

logger = logging.getLogger("callguard")


class Reporter:
    """Reports to the listeners and the log, and counts; no decision uses this.

    Args:
        listeners: called with every event.
        gate: the gate's id.
        workspace: the hash of the workspace for events.

    Attributes:
        teller: reports to the listeners; None without any.
        gate: the gate's id.
        workspace: the hash of the workspace.
        goes_by_ringing: whether the gate goes by it that ringing calls are counted, as learnt.
        what_broke: a sentence for each premise that was seen broken: its name, what was seen, and
            what to set.
        suggests_ringing: called with whether ringing calls were learnt to be counted, where the
            gate doesn't go by that; None for nobody.
        heard_of_premise: called each time that a premise was seen not to hold; None for nobody.
    """

    def __init__(self, listeners: Sequence[Listener], gate: str, workspace: str) -> None:
        self.gate = gate
        self.workspace = workspace
        self.teller = _teller(listeners, gate, workspace) if listeners else None
        self.heard_of_premise: Callable[[Broken], None] | None = None
        self.suggests_ringing: Callable[..., None] | None = None
        self._outage_since: float | None = None
        self._readings: dict[Outcome, int] = dict.fromkeys(get_args(Outcome), 0)
        self.what_broke: tuple[str, ...] = ()
        self._broken: dict[Premise, int] = {}
        self._why: dict[Premise, str] = {}
        self._given_up: list[str] = []
        self.goes_by_ringing = False

    @property
    def readings(self) -> Mapping[Outcome, int]:
        """The attempts to read the limits so far, by outcome."""
        return self._readings.copy()

    @property
    def premises_broken(self) -> Mapping[Premise, int]:
        """How often each premise was seen to be wrong; premises that hold are left out."""
        return self._broken.copy()

    def premise_broken(self, broken: Broken) -> None:
        """A premise was seen not to hold: counted each time, and said the first."""
        self._broken[broken.premise] = self._broken.get(broken.premise, 0) + 1
        self._why[broken.premise] = broken.why
        self.what_broke = tuple(f"{premise}: {why}" for premise, why in self._why.items())
        if self.heard_of_premise is not None:
            self.heard_of_premise(broken)
        if not broken.begins:
            return
        logger.warning(
            "a premise of the promise does not hold, %s: %s",
            broken.premise,
            broken.why,
            extra={
                "callguard.premise": broken.premise,
                "callguard.said": broken.said,
                "callguard.seen": broken.seen,
            },
        )
        if self.teller is not None:
            self.teller.premise_broken(broken)

    @property
    def given_up(self) -> tuple[str, ...]:
        """The settings that rested on the provider's word alone, and were given up."""
        return tuple(self._given_up)

    def gave_up(self, setting: str) -> None:
        """Report that a setting which rests on the provider's word alone was given up."""
        self._given_up.append(setting)
        logger.warning(
            "the provider refused a call: %s is given up for as long as the ledger lives",
            setting,
            extra={"callguard.setting": setting},
        )
        if self.teller is not None:
            self.teller.given_up(setting)

    def ringing_learnt(self, *, counted: bool, applied: bool) -> None:
        """Report that ringing calls were learnt to be counted, or that this was given up."""
        self.goes_by_ringing = counted and applied
        if not counted:
            what = "it is no longer taken for certain that the provider counts ringing calls"
        elif applied:
            what = "learnt that the provider counts ringing calls: counts_ringing=True says so"
        else:
            what = "the provider seems to count ringing calls: to use that, set counts_ringing=True"
        logger.info(what, extra={"callguard.counted": counted, "callguard.applied": applied})
        if self.suggests_ringing is not None:
            self.suggests_ringing(counted=counted)
        if self.teller is not None:
            self.teller.ringing_learnt(counted=counted, applied=applied)

    def reading_taken(self, snapshot: Snapshot, before: Snapshot | None, duration: float) -> None:
        """Report a snapshot that came `duration` seconds after it was asked for."""
        self._readings["taken"] += 1
        if self.teller is not None:
            self.teller.reading_taken(snapshot, duration)
            if before is not None and _standing(before.limits) != _standing(snapshot.limits):
                self.teller.limits_changed(before.limits, snapshot.limits)
        if self._outage_since is not None:
            self._end_outage(snapshot.received - self._outage_since)

    def reading_failed(
        self, error: CallGuardError, now: float, duration: float, age: float | None
    ) -> None:
        """Report a reading that failed after `duration` s; the snapshot in hand is `age` s old."""
        self._readings[_outcome(error)] += 1
        if self.teller is not None:
            self.teller.reading_failed(error, duration, age)
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
        if self.teller is not None:
            self.teller.outage_began(error)

    def _end_outage(self, duration: float) -> None:
        self._outage_since = None
        logger.info(
            "the limits can be read again, after %.1f s",
            duration,
            extra={"callguard.duration": duration},
        )
        if self.teller is not None:
            self.teller.outage_ended(duration)


def _teller(listeners: Sequence[Listener], gate: str, workspace: str) -> Teller:
    from callguard.gate.telling import Teller  # brings the events

    return Teller(listeners, gate, workspace)


def _standing(limits: Limits) -> Limits:
    """The limits without the count, which changes at every call."""
    return replace(limits, current_concurrency=0)


def _outcome(error: CallGuardError) -> Outcome:
    if isinstance(error, LimitsMalformed):
        return "malformed"
    outage = isinstance(error, LimitsUnavailable | LedgerUnavailable)
    return "unavailable" if outage else "rejected"
