"""Checks of what callers pass in, with errors that name the argument, its value and the fix."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Final

__all__ = ["checked_patience", "checked_seconds", "checked_whole", "shown"]

MOST: Final = 2**31 - 1
"""The largest whole number that an argument may be: a ledger's server computes with doubles, and no
workspace has more of anything."""

_LONGEST: Final = 40
"""Characters of a value that are shown."""

_LIKE_A_PHONE_NUMBER: Final = re.compile(r"\d(?:[\s().-]*\d){6,}")


def checked_seconds(name: str, value: object, *, above_zero: bool, finite: bool = True) -> float:
    """The value of the argument `name`, which is a number of seconds, as a float.

    A number is whatever turns into a float without being text or a truth value: those of `decimal`,
    of `fractions` and of numpy too.

    Raises:
        TypeError: not a number.
        ValueError: NaN, negative, infinite where it has to be finite, or 0 where it has to be more.
    """
    seconds = _as_float(value)
    if seconds is None:
        raise TypeError(f"{name} must be a number of seconds, such as 5.0, got {shown(value)}")
    low = seconds <= 0 if above_zero else seconds < 0
    if math.isnan(seconds) or low or (finite and seconds == math.inf):
        least = "more than 0 s" if above_zero else "at least 0 s"
        most = " and finite" if finite else ""
        raise ValueError(f"{name} must be {least}{most}, got {shown(value)}")
    return seconds


def checked_patience(name: str, value: object) -> float | None:
    """The value of the argument `name`, for how many seconds a caller waits at most.

    0 is now or never, None as long as it takes.

    Raises:
        TypeError: neither a number nor None.
        ValueError: NaN, or negative.
    """
    if value is None:
        return None
    return checked_seconds(f"{name} (unless None)", value, above_zero=False, finite=False)


def checked_whole(name: str, value: object, *, least: int | None = None) -> int:
    """The value of the argument `name`, which is a whole number of at least `least`.

    Raises:
        TypeError: not a whole number.
        ValueError: less than `least`, or further from 0 than 2,147,483,647.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, such as 5, got {shown(value)}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {shown(value)}")
    if abs(value) > MOST:
        raise ValueError(f"{name} must be no further from 0 than {MOST}, got {shown(value)}")
    return value


def shown(value: object) -> str:
    """What an error says of a value: never more than a line has room for, and no phone number.

    Numbers and text are shown, of all else only the type: nobody knows what its `repr` gives away.
    """
    if isinstance(value, str):
        text = repr(_LIKE_A_PHONE_NUMBER.sub("…", value[: 2 * _LONGEST]))
    elif value is None or isinstance(value, bool | int | float | Decimal | Fraction):
        text = _digits(value)
    else:
        kind = type(value).__name__
        return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _digits(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python turns into text
        return "a number of thousands of digits"


def _as_float(value: object) -> float | None:
    """The number that `value` is; None if it is none."""
    kind = type(value)
    if not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):
        return None
    if kind.__name__ in {"bool", "bool_"}:  # Python's and numpy's
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return None
