"""Trunks: ways to the telephone network, each with its own rate at which calls may start."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Final

from callguard.arguments import checked_list, checked_rate, checked_seconds, checked_text
from callguard.showing import shown

__all__ = ["DEFAULT_TRUNK", "SLACK", "Trunk", "checked_trunks"]

SLACK: Final = 1.05
"""The factor by which starts are further apart than the rate demands. Dials vary a little in how
long they take, so if starts were exactly 1 / `cps` apart, some would reach the provider too close
together and be refused. Our own choice."""

DEFAULT_TRUNK: Final = "default"
"""The trunk of calls that name none."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """A way to the telephone network, with a rate at which calls may start.

    Args:
        name: what the trunk is called in decisions and ``gate.admit(trunk="name")``.
        cps: calls that may start per second, or None for a trunk without a rate. Starts are spaced
            evenly, 1.05 / `cps` seconds apart, and unused ones are not saved up.
        window: seconds, for a carrier that counts starts in a rolling window: up to
            ``floor(cps * window)`` calls start, as close together as they come, in any window of
            this length plus 5 %. None for evenly spaced starts.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the name is empty or has half a surrogate pair, the rate is not between 0.001
            and 1,000,000, or there is a window without a rate, or in which no call may start.
    """

    name: str
    _: KW_ONLY
    cps: float | None = 1.0
    window: float | None = None

    def __post_init__(self) -> None:
        checked_text("a trunk's name", self.name, 'write Trunk("twilio"), say')
        of = f"trunk {shown(self.name)}:"
        # A number of another type, such as a Decimal, becomes a float.
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
        """Starts in any `span` at most; the trunk must have a rate."""
        if self.cps is None or self.window is None:
            return 1
        return math.floor(self.cps * self.window + 1e-9)  # 0.29 * 100 is a little less than 29

    @property
    def span(self) -> float:
        """Seconds in which `most` calls may start; the trunk must have a rate."""
        if self.window is not None:
            return SLACK * self.window
        return SLACK / (self.cps or math.inf)


def checked_trunks(trunks: object, cps: object) -> list[Trunk]:
    """The trunks of a gate: the default one, whose rate is `cps`, and the given ones.

    Raises:
        TypeError: `trunks` is not a list of trunks, or the rate is not a number.
        ValueError: two trunks share a name, one has the default's, or the rate can't be right.
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
