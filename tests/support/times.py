"""The default times of ledgers and gates in tests."""

from __future__ import annotations

from typing import Any

from callguard.ledger import Times

USUAL = Times(counted_after=2.0, counter_lag=2.0, ttl=1.0, min_interval=0.25, max_age=15.0)


def times(**changes: Any) -> Times:
    return USUAL._replace(**changes)
