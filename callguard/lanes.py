"""Lanes: classes of calls, each with its own priority, reserve and right to burst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT_LANE", "Lane"]


@dataclass(frozen=True, slots=True)
class Lane:
    """A class of calls.

    Args:
        name: what the lane is called in decisions, statistics and ``gate.admit("name")``.
        priority: lower goes first; lanes of equal priority share one line.
        reserve: calls that this lane leaves free for others below every limit.
        burst: calls above the normal limit that this lane may go to where the workspace has
            burst enabled, or ``"all"`` for as many as the burst limit allows. Burst is billed
            for the whole length of the call, so the default is none.
        max_wait: seconds that a caller may wait in line, or None for as long as it wants.
        max_waiting: callers that may wait in line at once, or None for any number.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an empty name, a negative number, or a `burst` that is neither a whole
            number nor ``"all"``.
    """

    name: str
    priority: int = 0
    reserve: int = 0
    burst: int | Literal["all"] = 0
    max_wait: float | None = None
    max_waiting: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"a lane's name is a string, not {self.name!r}")
        if not self.name:
            raise ValueError("a lane needs a name, and '' is none")
        self._require_whole("priority", self.priority, least=None)
        self._require_whole("reserve", self.reserve, least=0)
        if self.burst != "all":
            self._require_whole("burst", self.burst, least=0, instead=' or "all"')
        if self.max_waiting is not None:
            self._require_whole("max_waiting", self.max_waiting, least=0, instead=" or None")
        if self.max_wait is not None:
            self._require_seconds("max_wait", self.max_wait)

    def _require_whole(
        self, field: str, value: object, *, least: int | None, instead: str = ""
    ) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(
                f"lane {self.name!r}: {field} is a whole number{instead}, not {value!r}"
            )
        if least is not None and value < least:
            raise ValueError(f"lane {self.name!r}: {field} is {least} or more, not {value!r}")

    def _require_seconds(self, field: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"lane {self.name!r}: {field} is seconds or None, not {value!r}")
        if math.isnan(value) or value < 0:
            raise ValueError(f"lane {self.name!r}: {field} is 0 s or more, not {value!r}")


DEFAULT_LANE = Lane("default")
"""The lane of ``async with gate:`` where `open_gate` is given none of that name."""
