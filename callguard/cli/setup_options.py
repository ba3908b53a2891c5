"""Lanes and trunks on the command line: ``urgent:burst=5,reserve=2`` and ``twilio:cps=5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from callguard.errors import UsageError
from callguard.lanes import Lane
from callguard.trunks import Trunk

__all__ = ["parse_cps", "parse_lane", "parse_trunk"]

T = TypeVar("T")

_NONE: Final = "none"


def _burst(text: str) -> int | str:
    return text if text == "all" else int(text)


def _rate(text: str) -> float | None:
    return None if text == _NONE else float(text)


_LANE: Final[Mapping[str, Callable[[str], object]]] = {
    "priority": int,
    "reserve": int,
    "burst": _burst,
    "max_wait": float,
    "max_waiting": int,
}
_TRUNK: Final[Mapping[str, Callable[[str], object]]] = {
    "cps": _rate,
    "window": float,
    "calls": int,
    "longest_call": float,
}


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
    return _parse("--trunk", text, Trunk, _TRUNK)


def parse_cps(text: str) -> float | None:
    """Parse a rate, or none for no rate; `checked_trunks` judges the number.

    Raises:
        UsageError: it is neither.
    """
    try:
        return _rate(text)
    except ValueError:
        raise UsageError(f"--cps must be a number or none, got {text!r}") from None


def _parse(
    option: str, text: str, make: Callable[..., T], settings: Mapping[str, Callable[[str], object]]
) -> T:
    name, _, said = text.partition(":")
    chosen: dict[str, Any] = {}
    for pair in filter(None, said.split(",")):
        setting, is_set, value = pair.partition("=")
        if setting not in settings or not is_set:
            known = ", ".join(settings)
            raise UsageError(f"{option} {text!r}: {setting!r} is no setting; they are {known}")
        try:
            chosen[setting] = settings[setting](value)
        except ValueError:
            raise UsageError(f"{option} {text!r}: {setting} can't be {value!r}") from None
    try:
        return make(name, **chosen)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from None
