"""Waiting until a request would begin later than a moment."""

from __future__ import annotations

import asyncio

__all__ = ["later_than"]

_CLOCK_STEP = 0.001
"""Seconds to let pass where a reading has to begin later than now.

The loop may wake a timer early by its clock's resolution, and the same clock that reads the same
twice can't tell later from now.
"""


async def later_than(moment: float) -> None:
    """Wait until `moment` is over, in seconds on the event loop's clock; it is not yet."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time() + _CLOCK_STEP)
