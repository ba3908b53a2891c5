"""Foreign values as errors and logs show them: nothing long, and no phone numbers."""

from __future__ import annotations

import re
import traceback
from functools import partial
from typing import Final

__all__ = ["named", "shown", "shown_host", "traced", "without_numbers"]

_LONGEST: Final = 40
"""Characters of a value that are shown at most."""

_PHONE_NUMBER: Final = re.compile(r"\+?\d(?:[\s()-]*\d){6,}|\d{3}\.\d{3}\.\d{4}")
"""Seven digits or more, as phone numbers are written; with dots only in the form 415.555.0100,
since others may be IP addresses."""

_HOST: Final = re.compile(
    r"((?:[a-z][a-z0-9+.-]*://[\w.-]+|localhost|\d+(?:\.\d+){3}|(?:[\w-]+\.)+[a-z]{2,10})(?::\d{1,5})?"
    r"|[\w-]+:\d{1,5})(/[^@?#]*)?",
    re.ASCII | re.IGNORECASE,
)
"""An address with a scheme, a port or dots before its path. A bare word may be a key."""


def without_numbers(text: str) -> str:
    """The text with everything that may be a phone number replaced by a mark."""
    return _PHONE_NUMBER.sub("…", text)


def shown(value: object) -> str:
    """A value as an error shows it: numbers and text as such, of other values only the type.

    The `repr` of other values might give away a secret.
    """
    if isinstance(value, str):
        text = repr(without_numbers(value[: 2 * _LONGEST]))
    elif value is None or isinstance(value, bool | int | float) or _is_exact(value):
        text = _digits(value)
    else:
        kind = type(value).__name__
        return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def shown_host(address: str) -> str | None:
    """An address that can't be used, as an error shows it: up to its host and port.

    Returns:
        None if it may be a secret, or hold a user's name, a password or options.
    """
    found = _HOST.fullmatch(address)
    if found is None:
        return None
    host, path = found.groups("")
    return shown(f"{host}/…" if path.strip("/") else host)


def named(function: object) -> str:
    """A foreign callable as a log shows it: its name, since its `repr` may contain anything."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def traced(error: BaseException) -> str:
    """The traceback of an error of a foreign callable, without its context.

    The exception that was being handled meanwhile is the user's, perhaps that of the dial, and
    doesn't belong in this log.
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
