"""Dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["timestamp"]


def timestamp(date: str) -> float | None:
    """The seconds since 1970 of a date in a header; None if it isn't one."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    # A date without a zone is in UTC (RFC 9110, section 5.6.7), not in this machine's zone.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
