"""The events that a gate reports to its listeners: frozen records, one class for each kind.

Each event names its gate and its workspace. Events contain only numbers, texts and records of
these, so ``json.dumps({"event": type(event).__name__} | dataclasses.asdict(event))`` works.
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
    "GivenUp",
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
    "RingingLearnt",
    "TimedOut",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """The fields of every event.

    Attributes:
        gate: the id of the gate that reports the event; the ids of its permits begin with it.
        workspace: a hash of the API key, or of the ledger's name if it has one, so it is the same
            in every process. The key can't be recovered from it.
    """

    gate: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Admitted(_Report):
    """A call was admitted after `waited` seconds in the queue, as `tier` "normal" or "burst".

    `trunk` is the call's trunk, None if that is not limited.
    """

    permit_id: str
    lane: str
    tier: str
    waited: float
    trunk: str | None


@dataclass(frozen=True, slots=True)
class Queued(_Report):
    """A caller joined its lane's queue, which now has `waiting` callers."""

    lane: str
    waiting: int


@dataclass(frozen=True, slots=True)
class TimedOut(_Report):
    """A caller left the queue after `waited` seconds, because it was allowed to wait no longer."""

    lane: str
    waited: float


@dataclass(frozen=True, slots=True)
class LeftQueue(_Report):
    """A caller left the queue after `waited` seconds, neither admitted nor timed out.

    `why` is "cancelled" if the wait was cancelled, "closed" if the gate was closed or began to
    drain, and "rejected" if the provider refused the key. A caller that was admitted just before it
    was cancelled is reported as `Admitted` and then `Cancelled`.
    """

    lane: str
    waited: float
    why: Literal["cancelled", "closed", "rejected"]


@dataclass(frozen=True, slots=True)
class Placed(_Report):
    """A dial has returned, or was given up: its call counts as placed.

    Each permit is reported as one of `Placed`, `Cancelled` and `Refused`. `call_id` is the
    provider's id, None if it was not known by then.
    """

    permit_id: str
    lane: str
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Ended(_Report):
    """A call is known to be over; reported once, by the first evidence.

    `permit_id` and `lane` are None if this gate didn't place the call, or doesn't know yet that it
    did. `call_id` is None if the permit has none.
    """

    permit_id: str | None
    lane: str | None
    call_id: str | None


@dataclass(frozen=True, slots=True)
class Cancelled(_Report):
    """An admitted call was not dialled, and its slot was given back."""

    permit_id: str
    lane: str


@dataclass(frozen=True, slots=True)
class Refused(_Report):
    """The provider refused an admitted call, with the HTTP `status` if it is known.

    The provider may refuse a call after accepting its dial. Then there is no status, and
    `permit_id` and `lane` are None if another gate placed the call. `call_id` is None if the call
    never had one.
    """

    permit_id: str | None
    lane: str | None
    status: int | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermitLost(_Report):
    """The shared ledger counts a call as placed although it is still being dialled.

    The reason is that this process was silent for longer than its lease. The permit's slot may
    since have been granted to another call; the ledger counts both.
    """

    permit_id: str
    lane: str


@dataclass(frozen=True, slots=True)
class ReadingTaken(_Report):
    """The limits were read in `duration` seconds; the snapshot was `age` seconds old then."""

    snapshot: Snapshot
    duration: float
    age: float


@dataclass(frozen=True, slots=True)
class ReadingFailed(_Report):
    """The limits could not be read, after `duration` seconds of trying.

    `error` is the name of an error's class, such as "LimitsUnavailable", and `reason` its message.
    `age` is the age of the latest snapshot in seconds; None without a snapshot.
    """

    error: str
    reason: str
    duration: float
    age: float | None


@dataclass(frozen=True, slots=True)
class OutageBegan(_Report):
    """The limits can't be read from now on; `error` and `reason` are as in `ReadingFailed`."""

    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutageEnded(_Report):
    """The limits can be read again, after `duration` seconds."""

    duration: float


@dataclass(frozen=True, slots=True)
class LimitsChanged(_Report):
    """The workspace's limits have changed; a change of its count of calls is not reported."""

    before: Limits
    after: Limits


@dataclass(frozen=True, slots=True)
class LedgerAway(_Report):
    """The ledger's server can't be reached from now on; only a local share, if any, is admitted.

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
    """A lane, a trunk, or a lane on a trunk was paused; None stands for all of them.

    `by` is the machine's name and the id of the process that made the pause; `reason` says why.
    """

    lane: str | None
    trunk: str | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed(_Report):
    """A pause was lifted after `duration` seconds; `lane` and `trunk` are as in `Paused`."""

    lane: str | None
    trunk: str | None
    duration: float


@dataclass(frozen=True, slots=True)
class PremiseBroken(_Report):
    """A premise of the promise was seen to be wrong, for the first time. The gate changes nothing.

    `premise` is the name of the setting, such as "reserve" or "cps", `said` its value, and `seen`
    the value that would have been right so far, None if that is unknown.
    """

    premise: str
    said: float | None
    seen: float | None


@dataclass(frozen=True, slots=True)
class GivenUp(_Report):
    """The provider refused a call, so what can't be known for certain was given up.

    `setting` is "reserved_inbound", "ends_free_at_once", or "counts_ringing" where that was learnt.
    The gate goes on as if it had its default value, for as long as the ledger lives.
    """

    setting: str


@dataclass(frozen=True, slots=True)
class RingingLearnt(_Report):
    """The gate learnt from its own calls that ringing calls are counted, or gave that up.

    `counted` says whether they are taken for counted from now on. `applied` is False on a shared
    ledger, which goes by its setting alone: there it is only a suggestion to set `counts_ringing`.
    """

    counted: bool
    applied: bool


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
    | GivenUp
    | RingingLearnt
)


class Listener(Protocol):
    """A callable that is called with each `Event`, in the event loop, as it happens.

    It should return at once. Its exceptions are logged and break nothing, except KeyboardInterrupt
    and SystemExit, which end the process.

    A listener that also has a method ``opened(gate)`` is handed the `Gate` once that is open, in
    the event loop, so that it can ask for `Gate.statistics`. Before that it may hear events of the
    first reading. If it has a method ``closed(gate)``, that is called once when the gate is closed;
    events of background tasks may follow. An attribute ``hears``, a collection of event classes,
    names the events that it is called with; others are not made for it. All three are optional.
    """

    def __call__(self, event: Event, /) -> None:
        """Handle `event`."""
