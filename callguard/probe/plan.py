"""How long and how often to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callguard.arguments import checked_seconds

__all__ = ["READING_DEADLINE", "Plan"]

READING_DEADLINE: Final = 5.0
"""Seconds for one reading with all its attempts; the successful attempt dates the snapshot."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often to watch the counter and the call.

    Args:
        interval: seconds between two readings.
        longest: seconds after which a call that is still live is stopped.
        longest_lag: seconds by which the counter is assumed to be late, at most. The provider
            publishes nothing; the default is five times the simulator's lag. The counter has to be
            steady for twice `longest_lag` before the call, and for `longest_lag` after it.

    Raises:
        TypeError: a time is not a number.
        ValueError: a time is not more than 0 s and finite.
    """

    interval: float = 0.5
    longest: float = 180.0
    longest_lag: float = 5.0

    def __post_init__(self) -> None:
        checked_seconds("the interval", self.interval, above_zero=True)
        checked_seconds("the longest call", self.longest, above_zero=True)
        checked_seconds("the longest lag", self.longest_lag, above_zero=True)

    @property
    def quiet(self) -> float:
        """Seconds for which the counter has to be steady before the call."""
        return 2 * self.longest_lag

    @property
    def patience(self) -> float:
        """Seconds to wait for the counter after the call's end, at most."""
        return 3 * self.longest_lag
