"""What happened lately, in memory that doesn't grow: counts of a minute, waits of ten.

Both keep one more part of time than they show, since the present part has only begun. The time is
an argument, in seconds on any clock that doesn't go back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

__all__ = ["Lately", "Minute", "Waits"]

T = TypeVar("T")

_LEAST: Final = 0.001
"""Seconds of a wait below which all waits are alike: nobody waited."""

_STEP: Final = math.log(1.04)
"""The logarithm of how much longer the waits of a bucket are than those of the one before: 4 %, so
that no quantile is wrong by more than 2 %. A day of waiting has 466 buckets."""


class Lately(Generic[T]):
    """Records of the latest parts of time, each made anew when its part begins.

    Args:
        make: makes the empty record of a part.
        seconds: the length of a part.
        parts: how many parts there are, without the present one.
    """

    __slots__ = ("_make", "_parts", "_records", "_seconds")

    def __init__(self, make: Callable[[], T], seconds: float, parts: int) -> None:
        self._make = make
        self._seconds = seconds
        self._parts = parts
        self._records: list[tuple[int, T]] = [(-1, make()) for _ in range(parts + 1)]

    def at(self, now: float) -> T:
        """The record of the present part."""
        part = int(now // self._seconds)
        place = part % len(self._records)
        began, record = self._records[place]
        if began != part:
            record = self._make()
            self._records[place] = part, record
        return record

    def all(self, now: float) -> Iterator[T]:
        """The records of the present part and of those before it."""
        since = int(now // self._seconds) - self._parts
        return (record for began, record in self._records if began >= since)


class Minute:
    """How often something happened in the last minute."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Lately[list[int]] = Lately(lambda: [0], seconds=1.0, parts=60)

    def add(self, now: float) -> None:
        """It happened now."""
        self._counts.at(now)[0] += 1

    def total(self, now: float) -> int:
        """How often it happened, in the last 60 to 61 seconds."""
        return sum(count for (count,) in self._counts.all(now))


class Waits:
    """How long callers waited who were admitted in the last ten minutes, to within 2 %."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: Lately[Counter[int]] = Lately(Counter[int], seconds=30.0, parts=20)

    def add(self, now: float, waited: float) -> None:
        """A caller was admitted after so many seconds."""
        bucket = 0 if waited < _LEAST else 1 + int(math.log(waited / _LEAST) / _STEP)
        self._buckets.at(now)[bucket] += 1

    def quantile(self, now: float, share: float) -> float | None:
        """Seconds that this share of the callers waited at most; None if there was none."""
        counts: Counter[int] = Counter()
        for each in self._buckets.all(now):
            counts.update(each)
        left = math.ceil(share * counts.total())
        for bucket in sorted(counts):
            left -= counts[bucket]
            if left <= 0:
                return _LEAST * math.exp((bucket - 0.5) * _STEP) if bucket else 0.0
        return None
