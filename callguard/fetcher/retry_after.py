"""The Retry-After header: how long the provider asks clients to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping

from callguard.fetcher.dates import timestamp

__all__ = ["LONGEST_RETRY_AFTER", "retry_after"]

LONGEST_RETRY_AFTER = 60.0
"""Seconds to which a longer Retry-After is cut.

The provider's own client, retell-sdk 6.2.13, honours up to 60 s.
"""

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Parse the Retry-After header: seconds from 0 to `LONGEST_RETRY_AFTER`; None if not valid.

    Args:
        headers: the headers of an answer. A Retry-After with a date is measured against the
            answer's own Date, because the clocks of two machines are never compared.
    """
    asked = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(asked):
        return min(float(asked), LONGEST_RETRY_AFTER)
    until, now = timestamp(asked), timestamp(headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(max(until - now, 0.0), LONGEST_RETRY_AFTER)
