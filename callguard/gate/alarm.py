"""The one timer of a gate for all callers that wait until a trunk is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """A timer that rings once, at the earliest moment for which it was set.

    Args:
        loop: the event loop.
        rings: called at that moment, after the alarm was cleared.

    Attributes:
        at: the moment, on the clock of the arguments of `set`; infinity if the alarm isn't set.
    """

    __slots__ = ("_loop", "_rings", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, rings: Callable[[], None]) -> None:
        self.at = math.inf
        self._loop = loop
        self._rings = rings
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float, now: float) -> None:
        """Ring at the moment `at`, unless the alarm is set for an earlier one."""
        if at < self.at:
            self.stop()
            self.at = at
            self._timer = self._loop.call_later(at - now, self.ring)

    def stop(self) -> None:
        """Clear the alarm."""
        self.at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ring(self) -> None:
        """Ring now, if it is set; the timer may be late."""
        self.stop()
        self._rings()
