"""The running totals of a workspace, from which a `Truth` is made."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """The totals since the start; the fields are those of `Truth`."""

    count: int = 0
    outbound_count: int = 0
    live: int = 0
    peak: int = 0
    worst_excess: int | None = None
    placed: int = 0
    answered: int = 0
    ended: int = 0
    refusals: int = 0
    rate_refusals: int = 0
    most_dials_in_a_second: int = 0
    inbound_started: int = 0
    inbound_ended: int = 0
    inbound_turned_away: int = 0
    call_seconds: float = 0.0
    live_seconds: float = 0.0
    seconds_over_limit: float = 0.0
    surcharge_seconds: float = 0.0
    readings: int = 0

    def pass_time(self, seconds: float, limit: int, surcharged: int) -> None:
        """Add a period in which nothing changed.

        Args:
            seconds: its length.
            limit: the normal limit, in calls.
            surcharged: calls that began to count above the normal limit of their time.
        """
        self.call_seconds += self.count * seconds
        self.live_seconds += self.live * seconds
        self.surcharge_seconds += surcharged * seconds
        if self.count > limit:
            self.seconds_over_limit += seconds

    def note_excess(self, excess: int) -> None:
        """Note by how many calls an outbound call is above its ceiling; negative if below."""
        worst = self.worst_excess
        self.worst_excess = excess if worst is None else max(worst, excess)
