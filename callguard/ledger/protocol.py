"""What a gate needs of its ledger, in one process or among many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from callguard.decision import Usage, Withheld
from callguard.errors import CallGuardError
from callguard.limits import Snapshot
from callguard.pacing import Pace

__all__ = ["Claim", "Claimant", "Ledger"]


class Claim(NamedTuple):
    """What a gate asks of a shared ledger for the callers of one lane.

    Attributes:
        lane: the lane's name.
        priority: lower goes first.
        ceiling: the highest usage up to which a call may go, under the snapshot in hand.
        callers: how many are in the queue.
        waited: seconds that the first of them has waited.
    """

    lane: str
    priority: int
    ceiling: int
    callers: int
    waited: float


class Claimant(Protocol):
    """A gate, as the shared ledger sees it that reports to it and asks what its callers need."""

    def claims(self) -> list[Claim]:
        """What the queued callers need now: one claim for each lane on which anybody waits."""

    def granted(self, lane: str, number: int, usage: int) -> None:
        """A lane's claim was granted a slot, which brought the usage to `usage` calls."""

    def snapshot_came(self, snapshot: Snapshot, duration: float) -> None:
        """Some gate has taken a snapshot, `duration` seconds after it got the right to."""

    def asked_to_read(self) -> None:
        """Callers of other gates wait, and their gate has failed to read for them."""

    def lost(self, lanes: Mapping[int, str]) -> None:
        """The ledger took these permits for placed calls: their slots may be others' now.

        Args:
            lanes: the lane of each permit.
        """

    def unreachable(self, error: CallGuardError) -> None:
        """The ledger can't be reached since now."""

    def reachable(self, duration: float) -> None:
        """The ledger can be reached again, after `duration` seconds."""


class Ledger(Protocol):
    """The law of accounting; see docs/design.md.

    A permit is a *number* here, a number that is never used twice. Every method is one step that
    nothing can come between. Times are seconds on the event loop's clock; a shared ledger goes by
    its server's clock in their place.

    Attributes:
        in_use: the usage in calls, without the reported part where there is no snapshot yet.
        granted: permits granted so far.
        others_wait: whether callers of other gates are in the queue.
        snapshot: the latest snapshot, or None.
        withheld: why no slot is given, whatever the counts; None where the counts decide.
        outdated: whether the count is known to have changed since the snapshot in hand began.
    """

    granted: int
    others_wait: bool

    @property
    def snapshot(self) -> Snapshot | None: ...
    @property
    def in_use(self) -> int: ...
    @property
    def withheld(self) -> Withheld | None: ...
    @property
    def outdated(self) -> bool: ...

    def usage(self) -> Usage: ...
    def uncounted_calls(self) -> Iterable[str]: ...
    def pace(self, trunk: str) -> Pace | None: ...
    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int: ...
    def unstart(self, number: int) -> None: ...
    def place(self, number: int, now: float) -> None: ...
    def release(self, number: int) -> None: ...
    def withdraw(self, number: int) -> None: ...
    def restore(self, number: int, now: float) -> None: ...
    def answered(self, number: int, now: float) -> None: ...
    def bind(self, number: int, call_id: str, now: float) -> None: ...
    def note_answered(self, call_id: str, now: float) -> None: ...
    def note_ended(self, call_id: str, now: float) -> None: ...
    def note_change(self, now: float) -> None: ...
    def note_queue(self) -> None: ...
    def lost(self, number: int, now: float) -> bool: ...
    def note_sleep(self, slept: float, now: float) -> None: ...
    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None: ...
    def record(self, snapshot: Snapshot) -> bool: ...
