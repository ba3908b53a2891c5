"""Distributions of durations in seconds, and the seeded streams that they draw from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Protocol

__all__ = ["Constant", "Distribution", "Exponential", "Uniform", "parse_distribution", "stream"]

_FORMS = "12, constant:12, uniform:5:30, exponential:60 or exponential:60:300"


class Distribution(Protocol):
    """A callable that draws a number of seconds, at least 0, from a source of randomness."""

    def __call__(self, source: Random, /) -> float:
        """The next draw, in seconds."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always `seconds`.

    Raises:
        ValueError: not a finite number of seconds, at least 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        _require_seconds("a constant", self.seconds)

    def __call__(self, source: Random, /) -> float:  # noqa: ARG002 - draws nothing
        """The same seconds at each draw."""
        return self.seconds

    def __str__(self) -> str:
        return f"constant:{self.seconds!r}"


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniformly distributed from `least` to `most` seconds.

    Raises:
        ValueError: not finite numbers of seconds, at least 0, or in the wrong order.
    """

    least: float
    most: float

    def __post_init__(self) -> None:
        _require_seconds("the least", self.least)
        _require_seconds("the most", self.most)
        if self.most < self.least:
            raise ValueError(f"the least must be at most {self.most!r} s, got {self.least!r}")

    def __call__(self, source: Random, /) -> float:
        """The next draw, in seconds."""
        return source.uniform(self.least, self.most)

    def __str__(self) -> str:
        return f"uniform:{self.least!r}:{self.most!r}"


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponentially distributed, `mean` seconds on average, and cut to `at_most`.

    The cut lowers the average below `mean`.

    Raises:
        ValueError: not finite numbers of seconds, or 0 or less.
    """

    mean: float
    at_most: float | None = None

    def __post_init__(self) -> None:
        _require_seconds("a mean", self.mean, above_zero=True)
        if self.at_most is not None:
            _require_seconds("at_most", self.at_most, above_zero=True)

    def __call__(self, source: Random, /) -> float:
        """The next draw, in seconds."""
        drawn = source.expovariate(1 / self.mean)
        return drawn if self.at_most is None else min(drawn, self.at_most)

    def __str__(self) -> str:
        cut = "" if self.at_most is None else f":{self.at_most!r}"
        return f"exponential:{self.mean!r}{cut}"


def parse_distribution(text: str) -> Constant | Uniform | Exponential:
    """Parse a distribution, with all numbers in seconds.

    The forms are ``12`` and ``constant:12``, ``uniform:5:30`` (least, most), ``exponential:60``
    (mean) and ``exponential:60:300`` (mean, at most). `str` of a distribution can be parsed again.

    Raises:
        ValueError: `text` has none of these forms, or its numbers can't be right.
    """
    name, *parts = text.strip().split(":")
    try:
        if not parts:
            name, parts = "constant", [name]
        numbers = [float(part) for part in parts]
    except ValueError:
        raise ValueError(f"a distribution must be {_FORMS}, got {text!r}") from None
    match name, numbers:
        case "constant", [seconds]:
            return Constant(seconds)
        case "uniform", [least, most]:
            return Uniform(least, most)
        case "exponential", [mean]:
            return Exponential(mean)
        case "exponential", [mean, at_most]:
            return Exponential(mean, at_most)
        case _:
            raise ValueError(f"a distribution must be {_FORMS}, got {text!r}")


def stream(seed: int, name: str) -> Random:
    """A source of randomness for each name, so that no setting changes the draws of another."""
    return Random(f"{seed} {name}")  # noqa: S311 - a simulation has no secrets


def _require_seconds(what: str, value: float, *, above_zero: bool = False) -> None:
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        bound = "more than 0" if above_zero else "at least 0"
        raise ValueError(f"{what} must be a finite number of seconds, {bound}, got {value!r}")
