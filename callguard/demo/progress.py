"""How a campaign stands while it goes on, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callguard.simulator import Truth

__all__ = ["Outcome", "Progress", "Reckoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """What a dialer goes by at one moment.

    Attributes:
        usage: the calls that it reckons with; None where it keeps no account.
        waiting: by lane, the leads that are known and not dialled.
        readings: how often it has read the limits.
        snapshot_age: seconds since the snapshot in hand began; None without one.
        reason: why the bulk's next call fits or doesn't, in its own words.
    """

    usage: int | None
    waiting: Mapping[str, int]
    readings: int
    snapshot_age: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a campaign stands at one moment.

    Attributes:
        leads: how many there are in all.
        limit: the normal limit, in calls.
        ceiling: the calls that there may be at most: the limit, and what a lane may burst by.
        failed: the requests for the limits that went wrong so far.
        truth: what really goes on in the workspace.
        reckoning: what the dialer goes by.
    """

    leads: int
    limit: int
    ceiling: int
    failed: int
    truth: Truth
    reckoning: Reckoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a campaign.

    Attributes:
        dialer: ``"gate"``, or ``"loop"`` for the way most people dial.
        seed: what the workspace's draws followed from.
        leads: how many there were.
        limit: the normal limit, in calls.
        ceiling: the calls that there may be at most.
        dialled_once: leads with exactly one call, by the workspace's record.
        failed: the requests for the limits that went wrong.
        truth: what really went on in the workspace.
        workers: how many processes dialled.
    """

    dialer: str
    seed: int
    leads: int
    limit: int
    ceiling: int
    dialled_once: int
    failed: int
    truth: Truth
    workers: int = 1

    @property
    def over_ceiling(self) -> int:
        """Calls that the peak was above the ceiling; 0 where it was within."""
        return max(0, self.truth.peak - self.ceiling)

    @property
    def average(self) -> float:
        """The average number of calls going on."""
        return self.truth.call_seconds / self.truth.elapsed if self.truth.elapsed else 0.0

    @property
    def each_dialled_once(self) -> bool:
        """Whether every lead has one call, and there is no call besides those."""
        return self.dialled_once == self.leads == self.truth.placed

    @property
    def exceeded(self) -> bool:
        """Whether a call of the campaign went beyond what the workspace itself allows."""
        return self.truth.worst_excess is not None and self.truth.worst_excess > 0

    @property
    def kept(self) -> bool:
        """Whether the promise was kept: nothing refused, nothing above, every lead dialled once."""
        return (
            self.truth.refusals == 0
            and self.over_ceiling == 0
            and not self.exceeded
            and self.each_dialled_once
        )

    def as_json(self) -> dict[str, object]:
        """The figures, with those of the truth that say how it went."""
        return {
            "kept": self.kept,
            "dialer": self.dialer,
            "workers": self.workers,
            "seed": self.seed,
            "leads": self.leads,
            "dialled_once": self.dialled_once,
            "placed": self.truth.placed,
            "refused": self.truth.refusals,
            "limit": self.limit,
            "ceiling": self.ceiling,
            "peak": self.truth.peak,
            "over_ceiling": self.over_ceiling,
            "worst_excess": self.truth.worst_excess,
            "average": round(self.average, 1),
            "seconds": round(self.truth.elapsed, 1),
            "seconds_over_limit": round(self.truth.seconds_over_limit, 1),
            "surcharge_seconds": round(self.truth.surcharge_seconds, 1),
            "inbound": self.truth.inbound_started,
            "requests": self.truth.readings,
            "failed_requests": self.failed,
        }
