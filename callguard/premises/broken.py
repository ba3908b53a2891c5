"""The report of a broken premise, and the advice what to set."""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["RECENTLY", "TREND", "Broken", "Premise", "Sayings", "advice"]

Premise: TypeAlias = Literal["cps", "reserve", "counter_lag", "ring_limit", "counts_ringing"]
"""A setting on which the promise rests."""

TREND: Final = 3
"""How many observations of one kind are no longer outliers. Our own choice."""

RECENTLY: Final = 600.0
"""Seconds within which those observations have to come, if they are of calls."""

_STEP: Final = 0.5
"""Seconds to a multiple of which an advised time is rounded up."""


class Broken(NamedTuple):
    """A premise was seen to be wrong.

    Attributes:
        premise: the setting.
        said: the setting's value.
        seen: the value that would have been right so far; None if it is only known to be wrong.
        why: what was seen, and what to set, for people.
        begins: whether this is the first time.
    """

    premise: Premise
    said: float
    seen: float | None
    why: str
    begins: bool


class Sayings:
    """A record of the premises that were reported as broken, to find the first report of each."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def broken(
        self, premise: Premise, said: float, seen: float | None, why: str, key: str = ""
    ) -> Broken:
        """Make the report of a broken premise; `key` tells it from others of the same setting."""
        key = key or premise
        begins = key not in self._said
        self._said.add(key)
        return Broken(premise, said, seen, f"{why}; {advice(premise, seen)}", begins)


def advice(premise: Premise, seen: float | None) -> str:
    """Say what to set if `seen` would have been right so far."""
    match premise:
        case "counter_lag" | "ring_limit" if seen is not None:
            return f"open the gate with {premise}={_rounded_up(seen):g}"
        case "counts_ringing":
            return "open the gate with counts_ringing=False"
        case "reserve" if seen is not None:
            return f"set Lane(reserve={seen:g})"
        case _:
            return f"set a lower {premise}" if premise == "cps" else f"set a higher {premise}"


def _rounded_up(seconds: float) -> float:
    return math.floor(seconds / _STEP + 1.0) * _STEP
