"""Which fault, if any, the next request gets."""

from __future__ import annotations

from typing import Final, Literal, get_args

from callguard.simulator.distributions import stream

__all__ = ["DIAL_FAULTS", "FAULTS", "Fault", "Faults"]

Fault = Literal["500", "429", "429-retry-after", "hang", "cut", "broken-json", "wrong-types"]
"""What can go wrong with a request.

A status 500; a 429 without and with a ``Retry-After``; no answer until the client goes; a
connection that breaks in the middle of the answer; half a JSON document; JSON in which every
value is a string.
"""

FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
"""Every fault; all of them can hit the reading of the limits."""

DIAL_FAULTS: Final[tuple[Fault, ...]] = ("500", "hang", "cut")
"""The faults that can hit a dial: those that leave the caller not knowing if it was placed."""


class Faults:
    """Faults at random, by schedule, or both; the schedule goes first.

    Args:
        rate: the share of requests that get a fault at random, from 0 to 1.
        kinds: the faults to choose from at random, all equally likely.
        schedule: ``(begin, end, fault)``: every request from `begin` up to, not including, `end`
            gets `fault`; in seconds since the workspace's start. The first that fits is taken.
        seed: what the random choices follow from. The schedule doesn't shuffle them, nor do the
            `kinds` change which requests are hit.

    Raises:
        ValueError: a rate outside 0 to 1, an unknown fault, a rate with no kinds to choose from,
            or a schedule that ends before it begins.
    """

    __slots__ = ("_kinds", "_rate", "_schedule", "_source")

    def __init__(
        self,
        *,
        rate: float = 0.0,
        kinds: tuple[Fault, ...] = FAULTS,
        schedule: tuple[tuple[float, float, Fault], ...] = (),
        seed: int = 0,
    ) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be a share from 0 to 1, got {rate!r}")
        if rate and not kinds:
            raise ValueError("a rate needs kinds of faults to choose from, and there are none")
        for begin, end, _ in schedule:
            if not begin <= end:
                raise ValueError(f"a scheduled fault from {begin!r} s can't end at {end!r} s")
        self._rate = rate
        self._kinds = kinds
        self._schedule = schedule
        self._source = stream(seed, "faults")
        _require_known(self.possible, FAULTS)

    @property
    def possible(self) -> frozenset[Fault]:
        """Every fault that a request may get from here."""
        scheduled = (fault for _, _, fault in self._schedule)
        return frozenset((*scheduled, *(self._kinds if self._rate else ())))

    def require_only(self, allowed: tuple[Fault, ...]) -> None:
        """Check that nothing but the `allowed` faults can come from here.

        Raises:
            ValueError: another fault can.
        """
        _require_known(self.possible, allowed)

    def next(self, elapsed: float) -> Fault | None:
        """The fault of the next request, or None for a sound answer.

        Args:
            elapsed: seconds since the workspace's start.
        """
        at_random = self._at_random()
        for begin, end, fault in self._schedule:
            if begin <= elapsed < end:
                return fault
        return at_random

    def _at_random(self) -> Fault | None:
        # Both numbers are drawn for every request, so that no setting shifts the later draws.
        hit, choice = self._source.random(), self._source.random()
        return self._kinds[int(choice * len(self._kinds))] if hit < self._rate else None


def _require_known(faults: frozenset[Fault], allowed: tuple[Fault, ...]) -> None:
    for fault in sorted(faults.difference(allowed)):
        raise ValueError(f"a fault here must be one of {', '.join(allowed)}, got {fault!r}")
