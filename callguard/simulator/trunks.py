"""How fast calls may start: the ways to the telephone network, each with a rate of its own.

The provider documents the rate, and not how it is counted: the default is one call per second for
each way, and what comes faster "results in rejected calls" (docs.retellai.com/deploy/outbound-call,
read 2026-11-22). So both rules here are plausible, and a dialer has to do with either.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from callguard.simulator.settings import CpsRule, WorkspaceSettings

__all__ = ["Trunk", "Trunks", "room_in_seconds"]

_ROUNDING: Final = 1e-6
"""Seconds by which a moment may seem too early, because adding up seconds rounds."""


def room_in_seconds(cps: float | None, rule: CpsRule) -> tuple[float, float]:
    """How many calls may start, and in any how many seconds; a spacing has room for one.

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
    """A way to the telephone network: how fast calls may start on it, and how fast they came.

    The time is an argument, in seconds on one clock, and never runs backwards.

    Args:
        cps: starts of calls per second; None for no rule.
        rule: how they are counted; see `WorkspaceSettings`.

    Attributes:
        most_dials: the dials within any rolling second, at most, whatever became of them.
    """

    def __init__(self, cps: float | None, rule: CpsRule) -> None:
        self.cps = cps
        self.most_dials = 0
        self._dials = _Latest(1.0)
        self._room, seconds = room_in_seconds(cps, rule)
        self._starts = _Latest(seconds)

    def dial(self, now: float) -> bool:
        """Count a dial, which is no start yet; returns whether one is allowed by the rate now."""
        self._dials.add(now)
        self.most_dials = max(self.most_dials, self._dials.count(now))
        return self._starts.count(now) < self._room

    def start(self, now: float) -> None:
        """Count a start, which takes up the rate."""
        self._starts.add(now)


class Trunks:
    """The trunks of a workspace, by the number that is called from.

    Args:
        settings: what the workspace is like.
    """

    def __init__(self, settings: WorkspaceSettings) -> None:
        rule = settings.cps_rule
        self._default = Trunk(settings.cps, rule)
        self._named = {number: Trunk(cps, rule) for number, cps in settings.trunks.items()}

    def of(self, from_number: str) -> Trunk:
        """The trunk of this number: its own, or the one that all others share."""
        return self._named.get(from_number, self._default)


class _Latest:
    """The moments of the latest `seconds`; one that is just so long ago isn't among them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moments: deque[float] = deque()

    def add(self, now: float) -> None:
        """Another moment."""
        self._moments.append(now)

    def count(self, now: float) -> int:
        """How many there are."""
        while self._moments and now - self._moments[0] >= self._seconds - _ROUNDING:
            self._moments.popleft()
        return len(self._moments)
