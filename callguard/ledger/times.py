"""How long things last, in the provider's counter and in its readings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Times"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Times in seconds; gates on the same ledger should agree on them.

    Attributes:
        counted_after: after a dial returned, until the counter surely shows its call.
        counter_lag: the same, after the call is known to have been answered.
        ttl: between two readings while somebody waits.
        min_interval: between two readings at least.
        max_age: that a snapshot may be trusted.
    """

    counted_after: float
    counter_lag: float
    ttl: float
    min_interval: float
    max_age: float
