"""The policy by which requests are retried after transient faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from callguard.backoff import LEAST_BACKOFF
from callguard.errors import LimitsUnavailable

__all__ = ["retrying"]

_BACKOFF = wait_random_exponential(multiplier=0.5, max=8.0, min=LEAST_BACKOFF)
"""Seconds between two attempts: between 0.1 and 0.5, then up to 1, 2, 4 and at most 8.

The provider's own client, retell-sdk 6.2.13, doubles in the same way. The wait is drawn from the
whole span so that many workers that failed at once don't retry at once.
"""


def retrying(is_enough: Callable[[RetryCallState], bool]) -> AsyncRetrying:
    """Return a retrier that tries again after transient faults until `is_enough` returns True."""
    return AsyncRetrying(
        retry=retry_if_exception_type(LimitsUnavailable),
        wait=_wait,
        stop=is_enough,
        sleep=asyncio.sleep,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: the longer of the Retry-After and our own back-off."""
    fault = state.outcome.exception() if state.outcome is not None else None
    asked = fault.retry_after if isinstance(fault, LimitsUnavailable) else None
    return max(_BACKOFF(state), asked or 0.0)
