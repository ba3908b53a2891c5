"""The event loop's clock, and a watch for the time that it lost while the machine slept."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

__all__ = ["Watch", "clock_of", "loop_time"]

_SLEEP: Final = 0.05
"""Seconds by which two clocks may seem to drift on a machine that is awake, since they are read one
after the other."""

_LOOPS_ON_MONOTONIC: Final = ("asyncio", "uvloop")
"""The packages whose loops use `time.monotonic`, uvloop's to a millisecond."""


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """The loop's clock: `time.monotonic` if the loop only wraps that, which costs twice as much."""
    return time.monotonic if _goes_by_monotonic(loop) else loop.time


def loop_time() -> float:
    """Seconds on the running loop's clock."""
    return asyncio.get_running_loop().time()


class Watch:
    """Notices when the machine has slept, which stops `time.monotonic` on Linux and macOS.

    If the loop uses another clock, the watch never notices anything.

    Args:
        loop: the event loop whose clock is watched.

    Attributes:
        time: seconds on the loop's clock, which stands still while the machine sleeps.
        clock: seconds on a clock that goes on while the machine sleeps.
        lead: seconds by which `clock` was ahead of the loop's at the last look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time = clock_of(loop)
        self._listeners: list[Callable[[float, float], None]] = []
        self.clock = _clock_that_goes_on() if _goes_by_monotonic(loop) else self.time
        self.lead = self.clock() - self.time()

    def on_sleep(self, listener: Callable[[float, float], None]) -> None:
        """Call `listener` after each sleep with its seconds and the present moment."""
        self._listeners.append(listener)

    def look(self) -> None:
        """Report the sleep since the last look, if there was one."""
        now = self.time()
        slept = self.clock() - now - self.lead
        if slept > _SLEEP:
            self.lead += slept
            for listener in self._listeners:
                listener(slept, now)


def _goes_by_monotonic(loop: asyncio.AbstractEventLoop) -> bool:
    made_in, _, _ = getattr(type(loop).time, "__module__", type(loop).__module__).partition(".")
    return made_in in _LOOPS_ON_MONOTONIC


def _clock_that_goes_on() -> Callable[[], float]:
    if sys.platform == "linux":
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        # It goes on, unlike time.monotonic, which is mach_absolute_time on macOS.
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return time.monotonic
