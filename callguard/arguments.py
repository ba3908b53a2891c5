"""Checks of what callers pass in, with errors that name the argument and its value."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["checked_seconds", "checked_whole"]

MOST: Final = 2**31 - 1
"""The largest whole number that an argument may be: a ledger's server computes with doubles, and no
workspace has more of anything."""


def checked_seconds(name: str, value: float, *, above_zero: bool, finite: bool = True) -> float:
    """The value of the argument `name`, which is a number of seconds.

    Raises:
        TypeError: not a number.
        ValueError: NaN, negative, infinite where it has to be finite, or 0 where it has to be more.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    low = value <= 0 if above_zero else value < 0
    if math.isnan(value) or low or (finite and value == math.inf):
        least = "more than 0 s" if above_zero else "0 s or more"
        raise ValueError(f"{name} is {least}{' and finite' if finite else ''}, not {value!r}")
    return value


def checked_whole(name: str, value: object, *, least: int | None = None) -> int:
    """The value of the argument `name`, which is a whole number of at least `least`.

    Raises:
        TypeError: not a whole number.
        ValueError: less than `least`, or further from 0 than 2,147,483,647.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name} is {least} or more, not {value!r}")
    if abs(value) > MOST:
        raise ValueError(f"{name} is no further from 0 than {MOST}, not {value!r}")
    return value
