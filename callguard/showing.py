"""What errors and logs show of what isn't ours: nothing long, and nobody's phone number."""

from __future__ import annotations

import re
import traceback
from functools import partial
from typing import Final

__all__ = ["named", "shown", "traced", "without_numbers"]

_LONGEST: Final = 40
"""Characters of a value that are shown."""

_PHONE_NUMBER: Final = re.compile(r"\+?\d(?:[\s()-]*\d){6,}|\d{3}\.\d{3}\.\d{4}")
"""Seven digits or more, as numbers are written; ones with dots are told from addresses."""


def without_numbers(text: str) -> str:
    """The text with a mark instead of whatever may be a phone number."""
    return _PHONE_NUMBER.sub("…", text)


def shown(value: object) -> str:
    """What an error says of a value: numbers and text are shown, of all else only the type.

    Nobody knows what the `repr` of other things gives away.
    """
    if isinstance(value, str):
        text = repr(without_numbers(value[: 2 * _LONGEST]))
    elif value is None or isinstance(value, bool | int | float) or _is_exact(value):
        text = _digits(value)
    else:
        kind = type(value).__name__
        return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def named(function: object) -> str:
    """What a log says of somebody's callable: its name, since its `repr` may hold anything."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def traced(error: BaseException) -> str:
    """The traceback of an error out of somebody's callable, by itself.

    What was being handled meanwhile is the user's, and may be the dial's: it doesn't belong there.
    """
    return without_numbers("".join(traceback.format_exception(error, chain=False)).rstrip())


def _is_exact(value: object) -> bool:
    from decimal import Decimal
    from fractions import Fraction

    return isinstance(value, Decimal | Fraction)


def _digits(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python turns into text
        return "a number of thousands of digits"
