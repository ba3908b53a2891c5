"""The statistics of a gate at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callguard.decision import Ceilings, OnTrunk, Outage, Pause, Usage
from callguard.eta import Eta
from callguard.gate.reporting import Outcome
from callguard.gate.waits import Waits
from callguard.limits import Limits
from callguard.premises import Premise

__all__ = ["GateStatistics", "QueueAdmissions"]


@dataclass(frozen=True, slots=True)
class QueueAdmissions:
    """The admissions of a lane on a trunk since the gate was opened.

    Attributes:
        lane: the lane's name.
        trunk: the trunk's name; None if nothing limits it.
        normal: calls that cost nothing extra.
        burst: calls that may cost burst's surcharge.
        cancelled: those of these calls that were not dialled, or surely not placed.
        waits: how long those callers waited that were not admitted at once.
    """

    lane: str
    trunk: str | None
    normal: int
    burst: int
    cancelled: int
    waits: Waits


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """A frozen picture of a gate; plain data, for `dataclasses.asdict`, JSON and pickle.

    Attributes:
        usage: the most calls that can be going on now, and its parts.
        ceilings: by lane, the highest usage it may go to; None without a snapshot.
        headroom: by lane, the calls that still fit, negative after a limit was lowered, or while
            calls may be counted twice; None without a snapshot. Unlike `Gate.explain`, this ignores
            the snapshot's age.
        waiting: by lane, the callers in the queue.
        eta: by lane, how long a caller that joined the queue now would wait; None if unknown.
        due_in: by trunk with a rate, seconds until it may start its next call; 0 for now.
        snapshot_age: seconds since the latest snapshot began; None without one.
        admitted: calls admitted since the gate was opened.
        refused: admitted calls that the provider refused.
        timed_out: callers that left the queue because they had waited too long.
        readings: by outcome, the attempts to read the limits.
        outage: since when the limits can't be read, and why; None if they can, or nobody tries.
        pauses: the pauses, each with who made it, when and why.
        premises_broken: by premise of the promise, how often it was seen to be wrong, counted from
            the first report on; premises that hold are left out.
        on_trunk: by trunk that takes only so many calls, how many are on it, and the most.
        given_up: the settings that rest on the provider's word alone, and that a refusal has ended:
            "reserved_inbound", "ends_free_at_once", or "counts_ringing" where that was learnt.
        ringing_score: how strong the evidence is that ringing calls are counted, from -20 to 20; at
            20 they are taken for counted. None if the gate doesn't learn it.
        ringing_learnt: whether the gate has learnt that ringing calls are counted, and goes by it.
        limits: the provider's latest answer; None without a snapshot.
        admissions: the admissions of each lane and trunk on which a call was asked for.
    """

    usage: Usage
    ceilings: Mapping[str, Ceilings | None]
    headroom: Mapping[str, int | None]
    waiting: Mapping[str, int]
    eta: Mapping[str, Eta | None]
    due_in: Mapping[str, float]
    snapshot_age: float | None
    admitted: int
    refused: int
    timed_out: int
    readings: Mapping[Outcome, int]
    outage: Outage | None
    pauses: Sequence[Pause] = field(default_factory=list)
    premises_broken: Mapping[Premise, int] = field(default_factory=dict)
    on_trunk: Mapping[str, OnTrunk] = field(default_factory=dict)
    given_up: Sequence[str] = field(default_factory=list)
    ringing_score: int | None = None
    ringing_learnt: bool = False
    limits: Limits | None = None
    admissions: Sequence[QueueAdmissions] = field(default_factory=list)
