"""How transient faults of the provider's are tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from callguard.errors import LimitsUnavailable
from callguard.pauses import PAUSE_AFTER_FAULT

__all__ = ["retrying"]

_BACKOFF = wait_random_exponential(multiplier=0.5, max=8.0, min=PAUSE_AFTER_FAULT)
"""Seconds between two attempts: between 0.1 and 0.5, then 1, 2, 4 and at most 8.

The doubling is that of the provider's own client, retell-sdk 6.2.13. It is drawn from the whole
span so that many workers, thrown back at once, don't come again at once.
"""


def retrying(is_enough: Callable[[RetryCallState], bool]) -> AsyncRetrying:
    """Tries again after a transient fault, until `is_enough` says that it is."""
    return AsyncRetrying(
        retry=retry_if_exception_type(LimitsUnavailable),
        wait=_wait,
        stop=is_enough,
        sleep=asyncio.sleep,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the provider asked for, and at least our own pause."""
    fault = state.outcome.exception() if state.outcome is not None else None
    asked = fault.retry_after if isinstance(fault, LimitsUnavailable) else None
    return max(_BACKOFF(state), asked or 0.0)
