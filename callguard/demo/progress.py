"""The progress of a campaign, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callguard.decision import Usage
from callguard.limits import SURCHARGE
from callguard.simulator import Truth

__all__ = ["Outcome", "Progress", "Reckoning", "surcharge"]


def surcharge(truth: Truth) -> float:
    """What the calls that began above the limit have cost on top so far, in USD."""
    return truth.surcharge_seconds / 60 * SURCHARGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The figures by which a dialer decides at one moment.

    Attributes:
        usage: the calls that the dialer counts; None if it doesn't count its own.
        waiting: by lane, the leads that are known and not dialled.
        reason: why the bulk's next call fits or doesn't, in its own words.
        lost: leads that it has given up.
    """

    usage: int | None
    waiting: Mapping[str, int]
    reason: str
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a campaign at one moment.

    Attributes:
        leads: the number of leads.
        limit: the normal limit, in calls.
        failed: the requests for the limits that went wrong so far.
        truth: what really goes on in the workspace.
        reckoning: what the dialer goes by.
    """

    leads: int
    limit: int
    failed: int
    truth: Truth
    reckoning: Reckoning

    @property
    def waiting(self) -> int:
        """Leads that are known and not dialled."""
        return sum(self.reckoning.waiting.values())

    @property
    def whose(self) -> str:
        """How many of the calls that go on are the campaign's and how many others', in words."""
        return Usage(self.truth.count, 0, 0, counted=self.truth.outbound_count).whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a campaign.

    Attributes:
        dialer: ``"gate"``, or ``"loop"`` for the way most people dial.
        seed: the seed of the workspace's draws.
        leads: the number of leads.
        limit: the normal limit, in calls.
        dialled_once: leads with exactly one call, by the workspace's record.
        failed: how many requests for the limits failed.
        truth: the workspace's true totals.
        workers: how many processes dialled.
    """

    dialer: str
    seed: int
    leads: int
    limit: int
    dialled_once: int
    failed: int
    truth: Truth
    workers: int = 1

    @property
    def over_limit(self) -> int:
        """Calls that the peak was above the limit; 0 where it was within."""
        return max(0, self.truth.peak - self.limit)

    @property
    def lost(self) -> int:
        """Leads that were never called."""
        return max(0, self.leads - self.truth.placed)

    @property
    def surcharge(self) -> float:
        """What the calls that began above the limit cost on top, in USD."""
        return surcharge(self.truth)

    @property
    def called_a_minute(self) -> float:
        """How many leads were called in a minute, on average."""
        return 60 * self.truth.placed / self.truth.elapsed if self.truth.elapsed else 0.0

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
            and self.over_limit == 0
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
            "lost": self.lost,
            "refused": self.truth.refusals,
            "limit": self.limit,
            "peak": self.truth.peak,
            "over_limit": self.over_limit,
            "worst_excess": self.truth.worst_excess,
            "average": round(self.average, 1),
            "seconds": round(self.truth.elapsed, 1),
            "seconds_over_limit": round(self.truth.seconds_over_limit, 1),
            "surcharge": round(self.surcharge, 2),
            "inbound": self.truth.inbound_started,
            "requests": self.truth.readings,
            "failed_requests": self.failed,
        }
