"""The parts of an `Overview`: what an operator sees of one workspace at one moment.

The page, ``callguard top`` and ``GET /v1/status`` show the same object. What is unknown is None.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal

from callguard.decision import Pause, Usage
from callguard.limits import Limits

__all__ = [
    "Burst",
    "Happening",
    "Holder",
    "HolderState",
    "LaneView",
    "Overview",
    "Point",
    "PremiseView",
    "TrunkView",
]

HolderState = Literal["dialling", "uncounted", "counted"]
"""The states of a permit whose call may be going on."""


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane: whether its next call fits, and who waits.

    Attributes:
        name: the lane's name.
        sentence: the decision about its next call, in one sentence.
        admits: whether that call fits.
        lifts_in: seconds until the reason of a denial may end; None if unknown.
        ceiling: the highest usage up to which the lane may go; None without a snapshot.
        waiting: the callers in its queue.
        wait_p50: seconds that half of those who were admitted in the last ten minutes waited at
            most; None if nobody was.
        wait_p90: the same, of nine in ten.
        eta_p50: seconds that a caller that joined the queue now would wait, more likely not longer;
            None if unknown.
        eta_p90: the same, not longer in nine cases in ten.
        dials_per_minute: calls that this process admitted in the last minute; None without a gate.
        refused: calls of this process that the provider refused; None without a gate.
        paused: whether the lane, or everything, is paused.
    """

    name: str
    sentence: str
    admits: bool
    lifts_in: float | None
    ceiling: int | None
    waiting: int
    wait_p50: float | None
    wait_p90: float | None
    eta_p50: float | None
    eta_p90: float | None
    dials_per_minute: float | None
    refused: int | None
    paused: bool


@dataclass(frozen=True, slots=True)
class TrunkView:
    """A trunk: its rate, and the calls on it.

    Attributes:
        name: the trunk's name.
        cps: calls that may start per second; None without a rate.
        window: seconds of the carrier's window; None where starts are evenly spaced.
        due_in: seconds until the next call may start; None without a rate.
        starts_in_last_minute: calls that this process admitted on it in the last minute; None
            without a gate.
        calls: own calls that can be on it; None where it takes any number.
        most: the most calls that it takes; None where it takes any number.
        paused: whether the trunk, or everything, is paused.
    """

    name: str
    cps: float | None
    window: float | None
    due_in: float | None
    starts_in_last_minute: int | None
    calls: int | None
    most: int | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """A permit whose call may be going on.

    Attributes:
        id: the permit's id.
        worker: the label of the process that holds it; None for one that is gone.
        lane: the lane's name.
        state: what is known of its call.
        age: seconds since it was admitted.
    """

    id: str
    worker: str | None
    lane: str
    state: HolderState
    age: float


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls that cost burst's surcharge.

    Attributes:
        enabled: whether the workspace has burst; None without a snapshot.
        calls_now: calls of this process that began as burst and are not known to be over; None
            without a gate.
        dollars_today: what they and those before them cost on top since midnight, in USD, at most:
            a call of whose end nothing is known counts for as long as a call can last. None without
            a gate.
    """

    enabled: bool | None
    calls_now: int | None
    dollars_today: float | None


@dataclass(frozen=True, slots=True)
class PremiseView:
    """A premise of the promise that was seen to be wrong.

    Attributes:
        name: the setting, such as "reserve" or "cps".
        said: its value; None if it has none.
        seen: the value that would have been right so far; None if unknown.
        times: how often it was seen; None if unknown.
        sentence: what was seen, and what to set.
    """

    name: str
    said: float | None
    seen: float | None
    times: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, for people.

    Attributes:
        at: when it was, in seconds since 1970.
        kind: the name of the event's class.
        sentence: what happened.
    """

    at: float
    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the chart; all numbers but `at` are calls, and None if unknown.

    Attributes:
        at: when it was, in seconds since 1970.
        reported: the snapshot's count.
        dialling: permits whose dial has not returned.
        uncounted: placed calls that the snapshot may have missed.
        others: the reported calls that surely are others'.
        limit: the workspace's limit.
        reserved: the slots of the limit that are reserved for inbound calls.
        burst: the burst limit; None if burst is off.
    """

    at: float
    reported: int | None
    dialling: int | None
    uncounted: int | None
    others: int | None
    limit: int | None
    reserved: int | None
    burst: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What goes on in one workspace, as its gate or its shared ledger knows it.

    Attributes:
        workspace: the hash that names the workspace.
        gate: the gate's id; empty where a shared ledger was looked at without a gate.
        at: when this was, in seconds since 1970, for showing only.
        draining: whether the gate admits nobody any more.
        limits: the provider's latest answer; None without a snapshot.
        usage: the most calls that can be going on now, and its parts.
        snapshot_age: seconds since the latest snapshot began; None without one.
        outage: a sentence, while the limits can't be read; else None.
        lanes: the lanes, higher ones first.
        trunks: the trunks that are limited.
        holders: the permits whose calls may be going on, the oldest first.
        burst: what burst costs.
        pauses: what is paused, by whom and why.
        premises: the premises that were seen to be wrong.
        given_up: the settings that a refusal has ended.
        events: what happened, the newest first.
        chart: the last ten minutes, the oldest first.
    """

    workspace: str
    gate: str
    at: float
    draining: bool
    limits: Limits | None
    usage: Usage
    snapshot_age: float | None
    outage: str | None
    lanes: tuple[LaneView, ...]
    trunks: tuple[TrunkView, ...]
    holders: tuple[Holder, ...]
    burst: Burst
    pauses: tuple[Pause, ...]
    premises: tuple[PremiseView, ...]
    given_up: tuple[str, ...]
    events: tuple[Happening, ...]
    chart: tuple[Point, ...]

    def as_json(self) -> dict[str, object]:
        """Return JSON objects, arrays, numbers and strings; what is unknown is null.

        ``usage`` has its sums beside its parts.
        """
        parts = {name: _json(value) for name, value in _fields(self).items()}
        return parts | {"usage": self.usage.as_json()}


def _json(value: object) -> object:
    """A part as JSON; the parts have none of their own.

    `dataclasses.asdict` copies each number, and takes four times as long.
    """
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return _fields(value) if is_dataclass(value) else value


def _fields(part: object) -> dict[str, object]:
    kind: Any = type(part)
    return {name: getattr(part, name) for name in _names(kind)}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
