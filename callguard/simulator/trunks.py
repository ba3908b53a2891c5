"""The trunks of a simulated workspace, each with its own rate at which calls may start.

The provider documents the rate, but not how it is counted: the default is one call per second for
each trunk, and dialling faster "results in rejected calls"
(docs.retellai.com/deploy/outbound-call, read 2026-11-22). So both rules here are plausible, and a
dialer has to work with either.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from callguard.simulator.settings import CpsRule, WorkspaceSettings

__all__ = ["Trunk", "Trunks", "room_in_seconds"]

_ROUNDING: Final = 1e-6
"""Seconds by which a moment may seem too early, because sums of seconds are rounded."""


def room_in_seconds(cps: float | None, rule: CpsRule) -> tuple[float, float]:
    """Return how many calls may start in any period, and the period in seconds.

    A spacing allows one call per period.

    Args:
        cps: starts of calls per second; None for no rule.
        rule: how they are counted; see `WorkspaceSettings`.
    """
    if cps is None:
        return math.inf, 1.0
    if rule == "window" and cps >= 1:
        return math.floor(cps), 1.0
    return 1, 1 / cps


class Trunk:
    """A way to the telephone network: how fast calls may start on it, and how fast dials came.

    Methods take the time as an argument, in seconds on one clock; it must not run backwards.

    Args:
        cps: starts of calls per second; None for no rule.
        rule: how they are counted; see `WorkspaceSettings`.

    Attributes:
        most_dials: the most dials within any rolling second, refused ones included.
    """

    def __init__(self, cps: float | None, rule: CpsRule) -> None:
        self.cps = cps
        self.most_dials = 0
        self._dials = _Latest(1.0)
        self._room, seconds = room_in_seconds(cps, rule)
        self._starts = _Latest(seconds)

    def dial(self, now: float) -> bool:
        """Count a dial, which is not yet a start; return whether the rate allows a start now."""
        self._dials.add(now)
        self.most_dials = max(self.most_dials, self._dials.count(now))
        return self._starts.count(now) < self._room

    def start(self, now: float) -> None:
        """Count a start against the rate."""
        self._starts.add(now)


class Trunks:
    """The trunks of a workspace, by the number that calls are placed from.

    Args:
        settings: the settings of the workspace.
    """

    def __init__(self, settings: WorkspaceSettings) -> None:
        rule = settings.cps_rule
        self._default = Trunk(settings.cps, rule)
        self._named = {number: Trunk(cps, rule) for number, cps in settings.trunks.items()}

    def of(self, from_number: str) -> Trunk:
        """The trunk of this number: its own, or the one that all unnamed numbers share."""
        return self._named.get(from_number, self._default)


class _Latest:
    """The moments in the last `seconds`; a moment exactly `seconds` ago is no longer in it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moments: deque[float] = deque()

    def add(self, now: float) -> None:
        """Add a moment."""
        self._moments.append(now)

    def count(self, now: float) -> int:
        """The number of moments in the last `seconds`."""
        while self._moments and now - self._moments[0] >= self._seconds - _ROUNDING:
            self._moments.popleft()
        return len(self._moments)
