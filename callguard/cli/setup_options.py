"""Lanes and trunks on the command line: ``urgent:burst=5,reserve=2`` and ``twilio:cps=5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from callguard.arguments import checked_rate, is_sendable
from callguard.errors import UsageError
from callguard.lanes import Lane
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["parse_cps", "parse_lane", "parse_trunk"]

T = TypeVar("T")

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class _Setting:
    """A setting of a lane or a trunk.

    Attributes:
        read: makes a value of its text.
        kind: what the text must be.
        example: such a text.
    """

    read: Callable[[str], object]
    kind: str
    example: str


def _burst(text: str) -> int | str:
    return text if text == "all" else int(text)


def _rate(text: str) -> float | None:
    return None if text == _NONE else float(text)


_LANE: Final[Mapping[str, _Setting]] = {
    "priority": _Setting(int, "a whole number", "-1"),
    "reserve": _Setting(int, "a whole number", "2"),
    "burst": _Setting(_burst, "a whole number or all", "5"),
    "max_wait": _Setting(float, "a number of seconds", "30"),
    "max_waiting": _Setting(int, "a whole number", "100"),
}
_TRUNK: Final[Mapping[str, _Setting]] = {
    "cps": _Setting(_rate, "a number or none", "5"),
    "window": _Setting(float, "a number of seconds", "10"),
    "calls": _Setting(int, "a whole number", "50"),
    "longest_call": _Setting(float, "a number of seconds", "600"),
}

_OTHERWISE: Final = {
    " (unless None)": "",
    ' (unless "all")': " (unless all)",
    "or None for no rate": "or none for no rate",
    "cps is None": "cps is none",
}
"""Python in the library's messages, and the words of the command line."""


def parse_lane(text: str) -> Lane:
    """Parse a lane: its name, and what differs from the defaults.

    Raises:
        UsageError: it can't be a lane.
    """
    return _parse("--lane", text, Lane, _LANE)


def parse_trunk(text: str) -> Trunk:
    """Parse a trunk: its name, and what differs from the defaults; a cps of none is no rate.

    Raises:
        UsageError: it can't be a trunk.
    """
    trunk = _parse("--trunk", text, Trunk, _TRUNK)
    if trunk.name == DEFAULT_TRUNK:
        raise UsageError(
            f"--trunk {text!r}: {DEFAULT_TRUNK!r} is the trunk of calls that name none, and its "
            "rate is --cps"
        )
    return trunk


def parse_cps(text: str) -> float | None:
    """Parse a rate, or none for no rate.

    Raises:
        UsageError: it is neither, or can't be right.
    """
    try:
        rate = _rate(text)
    except ValueError:
        raise UsageError(f"--cps must be a number or none, got {text!r}") from None
    try:
        return checked_rate("--cps", rate)
    except ValueError as error:
        raise UsageError(_in_words(error)) from None


def _parse(option: str, text: str, make: Callable[..., T], settings: Mapping[str, _Setting]) -> T:
    name, _, said = text.partition(":")
    if not is_sendable(name):
        setting, known = next(iter(settings.items()))
        example = f"NAME:{setting}={known.example}"
        raise UsageError(f"{option} {text!r}: a name must come first, as in {example}")
    pairs = filter(None, said.split(","))
    try:
        return make(name, **dict(_value(name, pair, settings) for pair in pairs))
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {_in_words(error)}") from None


def _value(name: str, pair: str, settings: Mapping[str, _Setting]) -> tuple[str, Any]:
    """A setting and its value.

    Raises:
        ValueError: there is no such setting, or no such value.
    """
    setting, is_set, text = pair.partition("=")
    if setting not in settings:
        raise ValueError(f"{setting!r} is no setting; they are {', '.join(settings)}")
    known = settings[setting]
    if not (is_set and text):
        raise ValueError(f"{setting} needs a value, as in {name}:{setting}={known.example}")
    try:
        return setting, known.read(text)
    except ValueError:
        raise ValueError(f"{setting} must be {known.kind}, got {text!r}") from None


def _in_words(error: ValueError) -> str:
    """The message of an error of the library, without Python."""
    message = str(error)
    for python, words in _OTHERWISE.items():
        message = message.replace(python, words)
    return message
