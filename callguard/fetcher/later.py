"""A wait after which a request begins later than a given moment."""

from __future__ import annotations

import asyncio

__all__ = ["later_than"]

_CLOCK_STEP = 0.001
"""Seconds to wait beyond the moment.

The loop may wake a timer early by its clock's resolution, and a clock that reads the same twice
can't tell later from now.
"""


async def later_than(moment: float) -> None:
    """Wait until after `moment`, in seconds on the event loop's clock; it must not be past."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time() + _CLOCK_STEP)
