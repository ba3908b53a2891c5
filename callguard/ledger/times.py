"""The durations that a ledger uses, of the provider's counter and of its readings."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Times"]


class Times(NamedTuple):
    """Durations in seconds; gates on the same ledger should agree on them.

    Attributes:
        counted_after: from the return of a dial until the counter surely shows its call.
        counter_lag: from a call's answer until the counter surely shows the call.
        ttl: from one reading to the next while somebody waits.
        min_interval: from one reading to the next, at least.
        max_age: how long a snapshot may be trusted.
        ring_limit: how long a call rings, at most.
        learns: whether to learn if ringing calls are counted, since that is not known.
    """

    counted_after: float
    counter_lag: float
    ttl: float
    min_interval: float
    max_age: float
    ring_limit: float = 30.0
    learns: bool = False
