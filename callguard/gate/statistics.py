"""What a gate counts, at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from callguard.decision import Ceilings, Outage, Pause, Usage
from callguard.eta import Eta
from callguard.gate.reporting import Outcome
from callguard.premises import Premise

__all__ = ["GateStatistics"]


@dataclass(frozen=True, slots=True)
class GateStatistics:
    """A frozen picture of a gate, of plain data: `dataclasses.asdict`, JSON and pickle take it.

    Attributes:
        usage: the calls that can be going on now, and what that is made of.
        ceilings: by lane, the highest usage it may go to; None without a snapshot.
        headroom: by lane, the calls that still fit, negative after a limit was lowered; None
            without a snapshot. The age of the reading is not looked at: `Gate.explain` does.
        waiting: by lane, the callers in the queue.
        eta: by lane, how long a caller would wait that joined the queue now; None for not known.
        due_in: by trunk that has a rate, seconds until it may start its next call; 0 for now.
        snapshot_age: seconds since the snapshot in hand began; None without one.
        admitted: calls admitted since the gate was opened.
        refused: calls that the provider refused of those.
        timed_out: callers that left the queue because their time was up.
        readings: by outcome, the attempts to read the limits.
        outage: since when the limits can't be read, and why; None where they can, or nobody tries.
        pauses: what is paused, who says so, since when and why.
        premises_broken: by premise of the promise, how often it was seen not to hold, from when it
            is said; those that hold are left out.
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
