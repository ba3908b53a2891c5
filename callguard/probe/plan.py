"""How long and how often to look, and how many calls to place, at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callguard.arguments import checked_rate, checked_seconds
from callguard.probe.calls import PhoneCall

__all__ = ["CPS", "MOST_CALLS", "READING_DEADLINE", "LimitPlan", "Plan"]

READING_DEADLINE: Final = 5.0
"""Seconds for one reading with all its attempts; the successful attempt dates the snapshot."""


MOST_CALLS: Final = 10
"""Calls that the experiment at the limit may dial, at most. Our own choice."""

CPS: Final = 1.0
"""Calls that a trunk may start per second (docs.retellai.com/deploy/outbound-call, read
2026-11-22)."""


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


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """What the experiment at the limit may do.

    Args:
        call: the call to place, again and again; its number has to take so many calls at once, and
            to keep them.
        most_calls: how many calls may be dialled, at most.
        cps: calls that the trunk may start per second.
        inbound_patience: seconds to wait for somebody to call in, where slots are reserved for
            inbound calls.

    Raises:
        TypeError: an argument is not a number.
        ValueError: `cps` or `inbound_patience` is not more than 0 and finite, or `most_calls` is
            below 1.
    """

    call: PhoneCall
    most_calls: int = MOST_CALLS
    cps: float = CPS
    inbound_patience: float = 60.0

    def __post_init__(self) -> None:
        if self.most_calls < 1:
            raise ValueError(f"the most calls must be at least 1, got {self.most_calls}")
        checked_rate("the rate", self.cps)
        checked_seconds("the wait for an inbound call", self.inbound_patience, above_zero=True)

    @property
    def pace(self) -> float:
        """Seconds between two dials: 5 % more than the rate asks for, as a gate does."""
        return 1.05 / self.cps
