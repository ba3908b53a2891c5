"""Trunks: ways to the telephone network, each with its own rate of starts."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Final

from callguard.arguments import checked_list, checked_rate, checked_seconds, checked_text
from callguard.showing import shown

__all__ = ["DEFAULT_TRUNK", "SLACK", "Trunk", "checked_trunks"]

SLACK: Final = 1.05
"""By how much starts are further apart than the rate says: a dial takes a little longer or shorter
than the one before, so of starts that are exactly 1 / `cps` apart some reach the provider too close
together, and are refused. Our own choice."""

DEFAULT_TRUNK: Final = "default"
"""The name of the trunk that calls go by which name none."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way to the telephone network, which takes so many starts of calls a second.

    Args:
        name: what the trunk is called in decisions and ``gate.admit(trunk="name")``.
        cps: calls that may start in a second, or None for a trunk without a rate. Starts are spaced
            evenly, 1.05 / `cps` seconds apart, and what isn't used is not saved up.
        window: seconds, for a carrier that counts the starts of so long a time together: up to
            ``floor(cps * window)`` starts in any rolling window of that length, and 5 % more, as
            close together as they come. None for evenly spaced starts.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: an empty name or one with half a surrogate pair, a rate that is not between
            0.001 and 1,000,000, a window without a rate, or one in which no call may start.
    """

    name: str
    _: KW_ONLY
    cps: float | None = 1.0
    window: float | None = None

    def __post_init__(self) -> None:
        checked_text("a trunk's name", self.name, 'write Trunk("twilio"), say')
        of = f"trunk {shown(self.name)}:"
        # A number of another kind, such as a Decimal, becomes the float that the gate goes by.
        object.__setattr__(self, "cps", checked_rate(f"{of} cps", self.cps))
        if self.window is None:
            return
        window = checked_seconds(f"{of} window (unless None)", self.window, above_zero=True)
        object.__setattr__(self, "window", window)
        if self.cps is None:
            raise ValueError(f"{of} window is for a trunk with a rate, and cps is None")
        if self.most < 1:
            raise ValueError(
                f"{of} window must have room for a start: cps * window is {self.cps * window:g}, "
                "and has to be at least 1"
            )

    @property
    def most(self) -> int:
        """Starts in any `span` at most; only where there is a rate."""
        if self.cps is None or self.window is None:
            return 1
        return math.floor(self.cps * self.window + 1e-9)  # 0.29 * 100 is a little less than 29

    @property
    def span(self) -> float:
        """Seconds in which so many may start; only where there is a rate."""
        if self.window is not None:
            return SLACK * self.window
        return SLACK / (self.cps or math.inf)


def checked_trunks(trunks: object, cps: object) -> list[Trunk]:
    """The trunks of a gate: the default one, whose rate is `cps`, and those given.

    Raises:
        TypeError: not trunks, or a rate that is no number.
        ValueError: two of one name, one with the default's, or a rate that can't be.
    """
    given = checked_list("trunks", trunks, Trunk, "twilio")
    names = [trunk.name for trunk in given]
    for name in names:
        if name == DEFAULT_TRUNK:
            raise ValueError(
                f"trunks must not be called {DEFAULT_TRUNK!r}: so is the one of calls that name "
                "none, whose rate is cps=..."
            )
        if names.count(name) > 1:
            raise ValueError(f"trunks must have names of their own, and two are {shown(name)}")
    return [Trunk(DEFAULT_TRUNK, cps=checked_rate("cps", cps)), *given]
