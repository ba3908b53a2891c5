"""What a gate needs of its ledger, in one process or among many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from callguard.decision import Usage, Withheld
from callguard.errors import CallGuardError
from callguard.limits import Limits, Snapshot
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["Claim", "Claimant", "Halt", "Ledger", "Reader", "Readings", "Right"]


R = TypeVar("R", bound="Right")


class Claim(NamedTuple):
    """What a gate asks of a shared ledger for the callers of one lane and trunk.

    Attributes:
        lane: the lane's name.
        priority: lower goes first.
        ceiling: the highest usage up to which a call may go, under the snapshot in hand.
        callers: how many are in the queue.
        waited: seconds that the first of them has waited.
        trunk: their trunk; None where nothing limits that.
    """

    lane: str
    priority: int
    ceiling: int
    callers: int
    waited: float
    trunk: Trunk | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """The names of lane and trunk, by which it is told from the gate's other claims."""
        return self.lane, None if self.trunk is None else self.trunk.name

    def together_with(self, other: Self) -> Self:
        """One claim for the callers of two that have the same key."""
        callers, waited = self.callers + other.callers, max(self.waited, other.waited)
        return self._replace(callers=callers, waited=waited)


class Halt(NamedTuple):
    """Something is paused, for all gates on a ledger.

    Attributes:
        lane: the lane's name; None for each.
        trunk: the trunk's name; None for each.
        by: who paused it.
        since: when, in seconds.
        reason: why.
    """

    lane: str | None
    trunk: str | None
    by: str
    since: float
    reason: str


class Claimant(Protocol):
    """A gate, as the shared ledger sees it that reports to it and asks what its callers need."""

    def claims(self, limits: Limits | None, /) -> list[Claim]:
        """What the queued callers need now: one claim for each lane on which anybody waits.

        Args:
            limits: what the ceilings are of; None for the snapshot in hand.
        """

    def granted(self, claim: Claim, number: int, usage: int) -> None:
        """A claim was granted a slot, which brought the usage to `usage` calls."""

    def lost(self, lanes: Mapping[int, str]) -> None:
        """The ledger took these permits for placed calls: their slots may be others' now.

        Args:
            lanes: the lane of each permit.
        """

    def halted(self, halts: Sequence[Halt]) -> None:
        """All that is paused for all gates, since when in seconds on the event loop's clock."""

    def unreachable(self, error: CallGuardError) -> None:
        """The ledger can't be reached since now."""

    def reachable(self, duration: float) -> None:
        """The ledger can be reached again, after `duration` seconds."""


class Reader(Protocol):
    """A gate, as the ledger sees it that brings snapshots to it."""

    def came(self, snapshot: Snapshot, duration: float) -> None:
        """Some gate has taken a snapshot, `duration` seconds after it got the right to.

        This is the one way by which snapshots come to a gate.
        """

    def failed(self, error: CallGuardError, duration: float) -> None:
        """Another gate has failed to read, `duration` seconds after it got the right to."""

    def moved(self) -> None:
        """`Readings.turn_at` is another moment."""

    def asked(self) -> None:
        """Callers of other gates wait, and their gate has failed to read for them."""


class Right(Protocol):
    """The right to read: the gate that has it takes the next snapshot, and no other."""

    @property
    def newer_than(self) -> float | None:
        """The request of the snapshot begins later, in seconds on the event loop's clock."""


class Readings(Protocol[R]):
    """Who takes the next snapshot, and when: at most one gate of all that are on the ledger.

    Moments are in seconds on the event loop's clock.
    """

    @property
    def due_at(self) -> float:
        """From when on the next reading may begin, whoever takes it."""

    @property
    def turn_at(self) -> float:
        """When this gate should take it for those who wait, if no other has by then."""

    def serve(self, reader: Reader) -> None:
        """Set who gets what is read; once, before the first reading."""

    async def right(self, now: float) -> R | None:
        """The right to read, or None: another gate has it. Then `turn_at` is later than `now`.

        Cancelling this gives the right up, if it was given.

        Raises:
            LedgerUnavailable: the ledger can't be reached.
        """

    async def report(self, right: R, outcome: Snapshot | CallGuardError, now: float) -> None:
        """Tell all gates what the source has answered by `right`.

        A snapshot is with `Reader.came` when this returns.

        Raises:
            LedgerUnavailable: the ledger can't be reached, so that nobody has heard of it.
        """


class Ledger(Protocol):
    """The law of accounting; see docs/design.md.

    A permit is a *number* here, a number that is never used twice. Every method is one step that
    nothing can come between. Times are seconds on the event loop's clock; a shared ledger goes by
    its server's clock in their place.

    Attributes:
        in_use: the usage in calls, without the reported part where there is no snapshot yet.
        granted: permits granted so far.
        next_number: a number that no permit has had; each later one is above.
        others_wait: whether callers of other gates are in the queue.
        snapshot: the latest snapshot, or None.
        withheld: why no slot is given, whatever the counts; None where the counts decide.
        readings: who takes the next snapshot, and when.
    """

    granted: int
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
    def withheld(self) -> Withheld | None: ...

    def usage(self) -> Usage: ...
    def unsettled(self) -> int: ...
    def uncounted_calls(self) -> Mapping[str, int]: ...
    def calls_in_the_way(self) -> Iterable[str]: ...
    def pace(self, trunk: str) -> Pace | None: ...
    def due_at(self, trunk: str) -> float: ...
    def calls_on(self, trunk: str, now: float) -> int: ...
    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int: ...
    def unstart(self, number: int) -> None: ...
    def place(self, number: int, now: float) -> None: ...
    def release(self, number: int) -> None: ...
    def withdraw(self, number: int) -> None: ...
    def restore(
        self, number: int, now: float, trunk: str | None = None, *, restarts: bool = True
    ) -> None: ...
    def answered(self, number: int, now: float) -> None: ...
    def bind(self, number: int, call_id: str, now: float) -> None: ...
    def note_answered(self, call_id: str, now: float) -> None: ...
    def note_ended(self, call_id: str, now: float) -> None: ...
    def note_change(self, now: float) -> None: ...
    def note_queue(self) -> None: ...
    def halt(self, lane: str | None, trunk: str | None, why: tuple[str, str] | None) -> None: ...
    def lost(self, number: int, now: float) -> bool: ...
    def note_sleep(self, slept: float, now: float) -> None: ...
    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None: ...
    def record(self, snapshot: Snapshot) -> bool: ...
