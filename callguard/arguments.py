"""Checks of arguments, with errors that name the argument, its value and the fix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from callguard.showing import named, shown

__all__ = [
    "checked_call_id",
    "checked_callback",
    "checked_callbacks",
    "checked_choice",
    "checked_flag",
    "checked_list",
    "checked_moment",
    "checked_not_after",
    "checked_patience",
    "checked_rate",
    "checked_reason",
    "checked_seconds",
    "checked_text",
    "checked_whole",
    "is_sendable",
]

T = TypeVar("T")

MOST: Final = 2**31 - 1
"""The largest whole number that an argument may be. A ledger's server computes with doubles, and no
workspace has more of anything."""

LEAST_RATE: Final = 0.001
MOST_RATE: Final = 1e6
"""The bounds of a rate, in calls per second; a rate outside of them is a mistake."""


def checked_list(name: str, values: object, kind: type[T], example: str) -> list[T]:
    """Return the argument `name`, an iterable of `kind`, as a list.

    Args:
        name: the argument's name.
        values: its value.
        kind: a public class whose first argument is a name.
        example: a name for the example in the error.

    Raises:
        TypeError: it is not an iterable, or contains an object of another type.
    """
    if isinstance(values, kind | str) or not isinstance(values, Iterable):
        written = f'{kind.__name__}("{example}")'
        raise TypeError(f"{name} must be a list, such as [{written}], got {shown(values)}")
    given = list(values)
    for each in given:
        if not isinstance(each, kind):
            instead = f": write {kind.__name__}({shown(each)})" if isinstance(each, str) else ""
            raise TypeError(
                f"{name} must hold callguard.{kind.__name__} only, got {shown(each)}{instead}"
            )
    return given


def checked_seconds(name: str, value: object, *, above_zero: bool, finite: bool = True) -> float:
    """Return the argument `name`, a number of seconds, as a float.

    Every object that converts to a float is a number, except text and truth values: those of
    `decimal`, `fractions` and numpy too.

    Raises:
        TypeError: it is not a number.
        ValueError: it is NaN, negative, infinite though `finite`, or 0 though `above_zero`.
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
    """Return the argument `name`, the seconds that a caller may wait; None for any time.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is NaN, or negative.
    """
    if value is None:
        return None
    return checked_seconds(f"{name} (unless None)", value, above_zero=False, finite=False)


def checked_rate(name: str, value: object) -> float | None:
    """Return the argument `name`, the calls that may start per second; None for any number.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is below 0.001, above 1,000,000, or NaN.
    """
    if value is None:
        return None
    rate = _as_float(value)
    if rate is None:
        raise TypeError(
            f"{name} must be a number of calls a second, such as 1.0, or None for no rate, got "
            f"{shown(value)}"
        )
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(
            f"{name} must be between 0.001 and 1,000,000 calls a second, or None for no rate, got "
            f"{shown(value)}"
        )
    return rate


def checked_moment(name: str, value: object) -> float:
    """Return the argument `name`, a moment in seconds on the event loop's clock.

    Raises:
        TypeError: it is not a number.
        ValueError: it is NaN, or infinitely far in the future.
    """
    moment = _as_float(value)
    if moment is None:
        raise TypeError(f"{name} must be a moment, such as loop.time(), got {shown(value)}")
    if math.isnan(moment) or moment == math.inf:
        raise ValueError(f"{name} must be a moment that comes, got {shown(value)}")
    return moment


def checked_not_after(name: str, value: object) -> datetime:
    """Return the argument `name`, a datetime with a time zone.

    Raises:
        TypeError: it is not a datetime.
        ValueError: it has no time zone, so it is not a definite moment.
    """
    if not isinstance(value, datetime):
        raise TypeError(
            f"{name} must be a datetime with a time zone, such as "
            f"datetime(2026, 11, 26, 20, tzinfo=ZoneInfo('America/New_York')), got {shown(value)}"
        )
    if value.utcoffset() is None:
        raise ValueError(
            f"{name} must say in which time zone it is, got {shown(value)}: give it the lead's, "
            "such as tzinfo=ZoneInfo('America/New_York')"
        )
    return value


def checked_whole(name: str, value: object, *, least: int | None = None) -> int:
    """Return the argument `name`, a whole number of at least `least`.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is less than `least`, or further from 0 than 2,147,483,647.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, such as 5, got {shown(value)}")
    if least is not None and value < least:
        raise ValueError(f"{name} must be at least {least}, got {shown(value)}")
    if abs(value) > MOST:
        raise ValueError(f"{name} must be no further from 0 than {MOST}, got {shown(value)}")
    return value


def checked_flag(name: str, value: object) -> bool:
    """Return the argument `name`, which is True or False.

    Raises:
        TypeError: it is neither; a text such as "no" would count as True.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return value


def checked_text(name: str, value: object, instead: str) -> str:
    """Return the argument `name`, a text that can be sent.

    Args:
        name: the argument's name.
        value: its value.
        instead: what to pass instead, for the error.

    Raises:
        TypeError: it is not text.
        ValueError: it is empty, or has half a surrogate pair.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {shown(value)}: {instead}")
    if not is_sendable(value):
        raise ValueError(f"{name} must be text that can be sent, got {shown(value)}: {instead}")
    return value


def checked_reason(value: object) -> str:
    """Return the argument `reason`, a text that may be empty.

    Raises:
        TypeError: it is not text.
        ValueError: it has half a surrogate pair.
    """
    return checked_text("reason", value, "it is shown to others") if value != "" else ""


def checked_call_id(value: object) -> str:
    """Return the argument `call_id`, the provider's id of a call.

    Raises:
        TypeError: it is not text, but the provider's answer, say.
        ValueError: the text can't be an id.
    """
    return checked_text("call_id", value, "it is the provider's id, such as call.call_id")


def checked_choice(name: str, value: object, *choices: str | None) -> None:
    """Check that the argument `name` is one of the `choices`.

    Raises:
        ValueError: it is none of them.
    """
    if not (value is None or isinstance(value, str)) or value not in choices:
        words = " or ".join("None" if each is None else f'"{each}"' for each in choices)
        raise ValueError(f"{name} must be {words}, got {shown(value)}")


def checked_callback(name: str, value: T, takes: str) -> T:
    """Return the argument `name`, a function that is called and not awaited.

    Args:
        name: the argument's name.
        value: its value.
        takes: the parameters of the function, for the error.

    Raises:
        TypeError: it can't be called, or is a coroutine function.
    """
    if not callable(value):
        raise TypeError(f"{name} must be a plain function of {takes}, got {shown(value)}")
    if iscoroutinefunction(value) or iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
        raise TypeError(
            f"{name} must be a plain function of {takes}, got {named(value)}, which is async: "
            "write `def`, and start a task in it if it has to await something"
        )
    return value


def checked_callbacks(name: str, value: object, takes: str) -> tuple[Any, ...]:
    """Return the argument `name`, a function as for `checked_callback`, or several, as a tuple.

    Raises:
        TypeError: one of them can't be called, or is a coroutine function.
    """
    if callable(value) or isinstance(value, str) or not isinstance(value, Iterable):
        return (checked_callback(name, value, takes),)
    return tuple(checked_callback(f"each {name}", each, takes) for each in value)


def is_sendable(text: str) -> bool:
    """Whether a text is not empty, and has no half of a surrogate pair."""
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _as_float(value: object) -> float | None:
    """The value as a float; None if it is not a number."""
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
