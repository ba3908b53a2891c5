"""The protocols between a gate and its ledger, in one process or among many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from callguard.decision import Usage, Withheld
from callguard.errors import CallGuardError
from callguard.limits import Limits, Snapshot
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = [
    "Claim",
    "Claimant",
    "DatedPause",
    "Ledger",
    "PlacedState",
    "Reader",
    "Readings",
    "Right",
]

PlacedState: TypeAlias = Literal["uncounted", "counted"]
"""The state of a placed call that can be going on: whether a snapshot surely counts it."""


R = TypeVar("R", bound="Right")


class Claim(NamedTuple):
    """A gate's request to a shared ledger for the callers of one lane and trunk.

    Attributes:
        lane: the lane's name.
        priority: lower goes first.
        ceiling: the highest usage up to which a call may go, under the snapshot in hand.
        callers: how many are in the queue.
        waited: seconds that the first of them has waited.
        trunk: their trunk; None where nothing limits that.
        kept_free: slots that the ceiling leaves free: those that are reserved for inbound calls,
            and the lane's reserve; None where all calls are counted together.
    """

    lane: str
    priority: int
    ceiling: int
    callers: int
    waited: float
    trunk: Trunk | None = None
    kept_free: tuple[int, int] | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """The names of lane and trunk, by which it is told from the gate's other claims."""
        return self.lane, None if self.trunk is None else self.trunk.name

    def together_with(self, other: Self) -> Self:
        """One claim for the callers of two that have the same key."""
        callers, waited = self.callers + other.callers, max(self.waited, other.waited)
        return self._replace(callers=callers, waited=waited)


class DatedPause(NamedTuple):
    """A pause for all gates on a ledger, with the moment when it was made.

    Attributes:
        lane: the lane's name; None for all lanes.
        trunk: the trunk's name; None for all trunks.
        by: who made the pause.
        since: when it was made, in seconds.
        reason: the reason.
    """

    lane: str | None
    trunk: str | None
    by: str
    since: float
    reason: str


class Claimant(Protocol):
    """The side of a gate that a shared ledger asks for claims, and reports to."""

    def claims(self, limits: Limits | None, /) -> list[Claim]:
        """Return the claims of the queued callers: one for each lane on which anybody waits.

        Args:
            limits: the limits for the ceilings; None for those of the snapshot in hand.
        """

    def granted(self, claim: Claim, number: int, usage: int) -> None:
        """Take a slot that was granted to a claim, which brought the usage to `usage` calls."""

    def lost(self, lanes: Mapping[int, str]) -> None:
        """Note permits that the ledger counts as placed: their slots may have been granted again.

        Args:
            lanes: the lane of each permit.
        """

    def take_pauses(self, pauses: Sequence[DatedPause]) -> None:
        """Take the pauses of all gates, with `since` in seconds on the event loop's clock."""

    def unreachable(self, error: CallGuardError) -> None:
        """Note that the ledger can't be reached from now on."""

    def reachable(self, duration: float) -> None:
        """Note that the ledger can be reached again, after `duration` seconds."""


class Reader(Protocol):
    """The side of a gate to which its ledger passes snapshots."""

    def came(self, snapshot: Snapshot, duration: float) -> None:
        """Take in a snapshot that some gate took, `duration` seconds after it got the right to.

        This is the only way by which snapshots come to a gate.
        """

    def failed(self, error: CallGuardError, duration: float) -> None:
        """Note that another gate failed to read, `duration` seconds after it got the right to."""

    def moved(self) -> None:
        """Note that `Readings.turn_at` has changed."""

    def asked(self) -> None:
        """Read for callers of other gates, whose own gate has failed to."""


class Right(Protocol):
    """The right to read: only the gate that has it takes the next snapshot."""

    @property
    def newer_than(self) -> float | None:
        """The moment after which the request must begin, in seconds on the event loop's clock."""


class Readings(Protocol[R]):
    """The rule of who takes the next snapshot, and when: at most one of the ledger's gates.

    Moments are in seconds on the event loop's clock.
    """

    @property
    def due_at(self) -> float:
        """The earliest moment for the next reading, at any gate."""

    @property
    def turn_at(self) -> float:
        """When this gate should read for its callers, if no other gate has by then."""

    def serve(self, reader: Reader) -> None:
        """Set the reader that receives snapshots; called once, before the first reading."""

    async def right(self, now: float) -> R | None:
        """Return the right to read; None if another gate has it, and then `turn_at` is after `now`.

        Cancelling this gives up the right, if it was given.

        Raises:
            LedgerUnavailable: the ledger can't be reached.
        """

    async def report(
        self, right: R, outcome: Snapshot | CallGuardError, now: float, *, wait: float = 0.0
    ) -> None:
        """Report the outcome of the reading by `right` to all gates.

        A snapshot has been passed to `Reader.came` when this returns. Other gates begin no reading
        for `wait` seconds.

        Raises:
            LedgerUnavailable: the ledger can't be reached, so no gate knows of the outcome.
        """


class Ledger(Protocol):
    """The law of accounting; see docs/design.md.

    A permit is a *number* here, a number that is never used twice. Every method is one step that
    nothing can come between. Times are seconds on the event loop's clock; a shared ledger uses its
    server's clock instead.

    Attributes:
        in_use: the usage in calls; without a snapshot, only its own part.
        inbound_apart: whether inbound calls are counted apart; False once that was given up.
        ends_free: whether calls that are known to be over free their slots at once; False once that
            was given up.
        inbound: others' calls, if inbound calls are counted apart; else None.
        granted: permits granted so far.
        next_number: a number that no permit has had; each later one is above.
        others_wait: whether callers of other gates are in the queue.
        snapshot: the latest snapshot, or None.
        withheld: why no slot is given, whatever the counts; None if the counts decide.
        readings: the rule of who takes the next snapshot, and when.
    """

    granted: int
    inbound_apart: bool
    ends_free: bool
    others_wait: bool

    @property
    def next_number(self) -> int: ...
    @property
    def readings(self) -> Readings[Any]: ...
    @property
    def snapshot(self) -> Snapshot | None: ...
    @property
    def in_use(self) -> int: ...
    @property
    def inbound(self) -> int | None: ...
    @property
    def withheld(self) -> Withheld | None: ...

    def usage(self) -> Usage: ...
    def unsettled(self) -> int: ...
    def uncounted_calls(self) -> Mapping[str, int]: ...
    def placed_permits(self) -> Mapping[int, PlacedState]: ...
    def calls_in_the_way(self) -> Iterable[str]: ...
    def pace(self, trunk: str) -> Pace | None: ...
    def due_at(self, trunk: str, now: float, *, behind: int = 0) -> float: ...
    def calls_on(self, trunk: str, now: float) -> int: ...
    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int: ...
    def unstart(self, number: int, pace: Pace | None) -> None: ...
    def place(self, number: int, now: float) -> None: ...
    def release(self, number: int) -> None: ...
    def withdraw(self, number: int) -> None: ...
    def restore(
        self, number: int, now: float, trunk: str | None = None, *, restarts: bool = True
    ) -> None: ...
    def answered(self, number: int, now: float) -> None: ...
    def bind(self, number: int, call_id: str, now: float) -> bool: ...
    def note_answered(self, call_id: str, now: float) -> None: ...
    def note_ended(self, call_id: str, now: float, ended_after: float = ...) -> None: ...
    def note_change(self, now: float) -> None: ...
    def note_queue(self) -> None: ...
    def set_pause(
        self, lane: str | None, trunk: str | None, why: tuple[str, str] | None
    ) -> None: ...
    def lost(self, number: int, now: float) -> bool: ...
    def note_sleep(self, slept: float, now: float) -> None: ...
    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None: ...
    def note_refused(self, call_id: str) -> None: ...
    def record(self, snapshot: Snapshot) -> bool: ...
