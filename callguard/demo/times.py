"""How fast the time of a campaign goes by.

One process dials on a clock that jumps, where a second is a second. Many processes have no such
clock: theirs is the real one, on which a campaign is as much faster as the picture of it is.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SPEED"]

SPEED: Final = 40.0
"""Seconds of a campaign that go by in a second of its picture, or of many processes' dialling."""
