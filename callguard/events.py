"""What a gate reports to its listener: frozen records, one class for each fact.

Each names the gate that reports it, and its workspace. They are made of numbers, texts and records
of these, so ``json.dumps({"event": type(event).__name__} | dataclasses.asdict(event))`` works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from callguard.limits import Limits, Snapshot

__all__ = [
    "Admitted",
    "Cancelled",
    "Ended",
    "Event",
    "LedgerAway",
    "LedgerBack",
    "LeftQueue",
    "LimitsChanged",
    "Listener",
    "OutageBegan",
    "OutageEnded",
    "Paused",
    "PermitLost",
    "Placed",
    "PremiseBroken",
    "Queued",
    "ReadingFailed",
    "ReadingTaken",
    "Refused",
    "Resumed",
    "TimedOut",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What every event has.

    Attributes:
        gate: the id of the gate that reports it, with which the ids of its permits begin.
        workspace: a hash that is the same for the workspace in every process: of the API key,
            or of the ledger's name where it has one. The key can't be found again from it.
    """

    gate: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Admitted(_Report):
    """A call was admitted after `waited` seconds in the queue, as `tier` "normal" or "burst".

    `trunk` is the one that it is to take, None where that has no rate.
    """

    permit_id: str
    lane: str
    tier: str
    waited: float
    trunk: str | None


@dataclass(frozen=True, slots=True)
class Queued(_Report):
    """A caller joined its lane's queue, which is `waiting` callers long now."""

    lane: str
    waiting: int


@dataclass(frozen=True, slots=True)
class TimedOut(_Report):
    """A caller left the queue after `waited` seconds, as many as it was allowed."""

    lane: str
    waited: float


@dataclass(frozen=True, slots=True)
class LeftQueue(_Report):
    """A caller left the queue after `waited` seconds, neither admitted nor timed out.

    `why` is "cancelled" where its wait was, "closed" where the gate was closed or began to drain,
    and "rejected" where the provider refused the key. One that was admitted before it was cancelled
    is `Admitted` and then `Cancelled`.
    """

    lane: str
    waited: float
    why: Literal["cancelled", "closed", "rejected"]


@dataclass(frozen=True, slots=True)
class Placed(_Report):
    """The dial has returned, or was given up: the call counts as placed.

    Every permit is reported as one of `Placed`, `Cancelled` and `Refused`. `call_id` is the
    provider's, None where it was not known by then.
    """

    permit_id: str
    lane: str
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Ended(_Report):
    """A call is known to be over, from whichever source says so first.

    `permit_id` and `lane` are None where this gate didn't place the call, or doesn't know yet that
    it did; `call_id` where the permit has none.
    """

    permit_id: str | None
    lane: str | None
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Cancelled(_Report):
    """A call that had been admitted was not dialled, and has given its slot back."""

    permit_id: str
    lane: str


@dataclass(frozen=True, slots=True)
class Refused(_Report):
    """The provider refused a call that had been admitted, with the HTTP `status` if one is known.

    It may do so after it had accepted the call; then there is no status, and `permit_id` and `lane`
    are None where another gate placed it. `call_id` is None where the call never had one.
    """

    permit_id: str | None
    lane: str | None
    status: int | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermitLost(_Report):
    """The shared ledger took a call that was being dialled for a placed one.

    That is because this process was silent for longer than its lease. The permit's slot may be
    another's now; the ledger counts both.
    """

    permit_id: str
    lane: str


@dataclass(frozen=True, slots=True)
class ReadingTaken(_Report):
    """The limits were read: `duration` seconds from request to answer, `age` seconds old then."""

    snapshot: Snapshot
    duration: float
    age: float


@dataclass(frozen=True, slots=True)
class ReadingFailed(_Report):
    """The limits could not be read, after `duration` seconds of trying.

    `error` is the name of an error's class, such as "LimitsUnavailable", and `reason` what it says.
    `age` is that of the snapshot in hand, in seconds; None where there is none.
    """

    error: str
    reason: str
    duration: float
    age: float | None


@dataclass(frozen=True, slots=True)
class OutageBegan(_Report):
    """The limits can't be read since now; `error` and `reason` are as in `ReadingFailed`."""

    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutageEnded(_Report):
    """The limits can be read again, after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True)
class LimitsChanged(_Report):
    """The workspace's limits, other than its count of calls, are not what they were."""

    before: Limits
    after: Limits


@dataclass(frozen=True, slots=True)
class LedgerAway(_Report):
    """The ledger's server can't be reached since now: nobody is admitted, but for an own share.

    `error` and `reason` are as in `ReadingFailed`.
    """

    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerBack(_Report):
    """The ledger's server can be reached again, after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True)
class Paused(_Report):
    """Nobody is admitted any more on a lane, on a trunk, or on a lane and trunk; None is for each.

    `by` is who paused it, a machine's name and a process's number, and `reason` why.
    """

    lane: str | None
    trunk: str | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed(_Report):
    """What was `Paused` is so no more, after `duration` seconds."""

    lane: str | None
    trunk: str | None
    duration: float


@dataclass(frozen=True, slots=True)
class PremiseBroken(_Report):
    """A premise of the promise was seen not to hold, for the first time; nothing is changed by it.

    `premise` is the name of the setting, such as "reserve" or "cps", `said` what it is set to, and
    `seen` what would have been right so far, None where that isn't known.
    """

    premise: str
    said: float | None
    seen: float | None


Event: TypeAlias = (
    Admitted
    | Queued
    | TimedOut
    | LeftQueue
    | Placed
    | Ended
    | Cancelled
    | Refused
    | PermitLost
    | LedgerAway
    | LedgerBack
    | ReadingTaken
    | ReadingFailed
    | OutageBegan
    | OutageEnded
    | LimitsChanged
    | Paused
    | Resumed
    | PremiseBroken
)


class Listener(Protocol):
    """A callable that gets each `Event`, in the event loop, as it happens.

    It should return at once. What it raises is logged and breaks nothing; KeyboardInterrupt and
    SystemExit go on to end the process.
    """

    def __call__(self, event: Event, /) -> None:
        """Take note of `event`."""
