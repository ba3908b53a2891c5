"""Trunks: ways to the telephone network, each with its own rate and its own most calls at once."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Final

from callguard.arguments import (
    checked_list,
    checked_rate,
    checked_seconds,
    checked_text,
    checked_whole,
)
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
    """A way to the telephone network, with a rate at which calls may start, and a most at once.

    Args:
        name: what the trunk is called in decisions and ``gate.admit(trunk="name")``.
        cps: calls that may start per second, or None for a trunk without a rate. Starts are spaced
            evenly, 1.05 / `cps` seconds apart, and unused ones are not saved up. After a start
            that was late by up to 0.02 / `cps` seconds, and 5 ms at most, the next one is not.
        window: seconds, for a carrier that counts starts in a rolling window: up to
            ``floor(cps * window)`` calls start, as close together as they come, in any window of
            this length plus 5 %. None for evenly spaced starts.
        calls: how many of the gate's own calls may be on the trunk at once, for a number, a carrier
            or a region that takes no more; None for any number. The provider's count doesn't tell
            trunks apart, so a call is on its trunk until it is known to be over
            (`permit.ended()`, `gate.note_ended`, webhooks, ``track="ask"``), or else for
            `longest_call`.
        longest_call: seconds that a call lasts at most, not counting the ringing. The default is
            that of Retell AI (`max_call_duration_ms`). It matters only where `calls` is set.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the name is empty or has half a surrogate pair, the rate is not between 0.001
            and 1,000,000, there is a window without a rate, or in which no call may start, `calls`
            is less than 1, or `longest_call` is not above 0 s and finite.
    """

    name: str
    _: KW_ONLY
    cps: float | None = 1.0
    window: float | None = None
    calls: int | None = None
    longest_call: float = 3600.0

    def __post_init__(self) -> None:
        checked_text("a trunk's name", self.name, 'write Trunk("twilio"), say')
        of = f"trunk {shown(self.name)}:"
        # A number of another type, such as a Decimal, becomes a float.
        object.__setattr__(self, "cps", checked_rate(f"{of} cps", self.cps))
        if self.calls is not None:
            checked_whole(f"{of} calls (unless None)", self.calls, least=1)
        longest = checked_seconds(f"{of} longest_call", self.longest_call, above_zero=True)
        object.__setattr__(self, "longest_call", longest)
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
    def is_limited(self) -> bool:
        """Whether it has a rate, or takes only so many calls at once."""
        return self.cps is not None or self.calls is not None

    @property
    def most(self) -> int:
        """Starts in any `span` at most; 1 without a rate."""
        if self.cps is None or self.window is None:
            return 1
        return math.floor(self.cps * self.window + 1e-9)  # 0.29 * 100 is a little less than 29

    @property
    def span(self) -> float:
        """Seconds in which `most` calls may start; 0 without a rate."""
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
