"""The progress of a campaign, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callguard.simulator import Truth

__all__ = ["Outcome", "Progress", "Reckoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The figures by which a dialer decides at one moment.

    Attributes:
        usage: the calls that the dialer counts; None if it doesn't count its own.
        waiting: by lane, the leads that are known and not dialled.
        readings: how often the dialer has read the limits.
        snapshot_age: seconds since the latest snapshot began; None without one.
        reason: why the next bulk call fits or doesn't, in the dialer's own words.
    """

    usage: int | None
    waiting: Mapping[str, int]
    readings: int
    snapshot_age: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a campaign at one moment.

    Attributes:
        leads: the number of leads.
        limit: the normal limit, in calls.
        ceiling: the most calls that are allowed: the limit plus the burst of a lane.
        failed: how many requests for the limits have failed so far.
        truth: the workspace's true totals.
        reckoning: the figures by which the dialer decides.
    """

    leads: int
    limit: int
    ceiling: int
    failed: int
    truth: Truth
    reckoning: Reckoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a campaign.

    Attributes:
        dialer: ``"gate"``, or ``"loop"`` for the way most people dial.
        seed: the seed of the workspace's draws.
        leads: the number of leads.
        limit: the normal limit, in calls.
        ceiling: the most calls that are allowed.
        dialled_once: leads with exactly one call, by the workspace's record.
        failed: how many requests for the limits failed.
        truth: the workspace's true totals.
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
        """Calls by which the peak exceeded the ceiling; 0 if it didn't."""
        return max(0, self.truth.peak - self.ceiling)

    @property
    def average(self) -> float:
        """The average number of calls going on."""
        return self.truth.call_seconds / self.truth.elapsed if self.truth.elapsed else 0.0

    @property
    def each_dialled_once(self) -> bool:
        """Whether every lead has one call, and there are no other calls."""
        return self.dialled_once == self.leads == self.truth.placed

    @property
    def exceeded(self) -> bool:
        """Whether a call of the campaign exceeded the workspace's own outbound ceiling."""
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
        """Return the figures, with the relevant ones of the truth, as a JSON object."""
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
