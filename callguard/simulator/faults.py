"""The faults of a simulated provider, at random or by schedule."""

from __future__ import annotations

from typing import Final, Literal, get_args

from callguard.simulator.distributions import stream

__all__ = ["DIAL_FAULTS", "FAULTS", "Fault", "Faults"]

Fault = Literal["500", "429", "429-retry-after", "hang", "cut", "broken-json", "wrong-types"]
"""What can go wrong with a request.

In this order: a status 500; a 429 without, and one with a ``Retry-After``; no answer until the
client leaves; a connection that breaks in the middle of the answer; half a JSON document; JSON in
which every value is a string.
"""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
"""Every fault. A reading of the limits can have any of them."""

DIAL_FAULTS: Final[tuple[Fault, ...]] = ("500", "hang", "cut")
"""The faults that a dial can have. After each, the caller can't know whether it was placed."""


class Faults:
    """Faults at random, by schedule, or both; the schedule goes first.

    Args:
        hanging: the share of requests that hang at random, from 0 to 1, apart from `rate`.
        rate: the share of requests that get a fault at random, from 0 to 1.
        kinds: the faults to choose from at random, all equally likely.
        schedule: tuples ``(begin, end, fault)``, in seconds since the workspace's start. A request
            at or after `begin` and before `end` gets `fault`. The first tuple that fits is taken.
        seed: the seed of the random choices. The schedule doesn't change them, and `kinds` doesn't
            change which requests are hit.

    Raises:
        ValueError: a rate outside 0 to 1, an unknown fault, a rate with no kinds to choose from,
            or a schedule that ends before it begins.
    """

    __slots__ = ("_hanging", "_hangs", "_kinds", "_rate", "_schedule", "_source")

    def __init__(
        self,
        *,
        hanging: float = 0.0,
        rate: float = 0.0,
        kinds: tuple[Fault, ...] = FAULTS,
        schedule: tuple[tuple[float, float, Fault], ...] = (),
        seed: int = 0,
    ) -> None:
        for name, share in {"hanging": hanging, "rate": rate}.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {share!r}")
        if rate and not kinds:
            raise ValueError("a rate needs kinds of faults to choose from, and there are none")
        for begin, end, _ in schedule:
            if not begin <= end:
                raise ValueError(f"a scheduled fault from {begin!r} s can't end at {end!r} s")
        self._hanging = hanging
        self._rate = rate
        self._kinds = kinds
        self._schedule = schedule
        self._hangs = stream(seed, "hanging")
        self._source = stream(seed, "faults")
        _require_known(self.possible, FAULTS)

    @property
    def possible(self) -> frozenset[Fault]:
        """Every fault that a request may get."""
        possible = {fault for _, _, fault in self._schedule}
        if self._rate:
            possible.update(self._kinds)
        if self._hanging:
            possible.add("hang")
        return frozenset(possible)

    def require_only(self, allowed: tuple[Fault, ...]) -> None:
        """Check that a request can get no fault but the `allowed` ones.

        Raises:
            ValueError: it can get another one.
        """
        _require_known(self.possible, allowed)

    def next(self, elapsed: float) -> Fault | None:
        """The fault of the next request; None for a proper answer.

        Args:
            elapsed: seconds since the workspace's start.
        """
        hangs, at_random = self._hangs.random() < self._hanging, self._at_random()
        for begin, end, fault in self._schedule:
            if begin <= elapsed < end:
                return fault
        return "hang" if hangs else at_random

    def _at_random(self) -> Fault | None:
        # Both numbers are drawn for every request, so that no setting shifts the later draws.
        hit, choice = self._source.random(), self._source.random()
        return self._kinds[int(choice * len(self._kinds))] if hit < self._rate else None


def _require_known(faults: frozenset[Fault], allowed: tuple[Fault, ...]) -> None:
    for fault in sorted(faults.difference(allowed)):
        raise ValueError(f"a fault here must be one of {', '.join(allowed)}, got {fault!r}")
