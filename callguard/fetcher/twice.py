"""Asking a second time while the first request is still without an answer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from callguard.errors import CallGuardError, LimitsUnavailable
from callguard.tasks import begin, end

__all__ = ["asked_twice"]

T = TypeVar("T")


async def asked_twice(
    ask: Callable[[], Coroutine[Any, Any, T | CallGuardError]],
    patience: float,
    second_begins: Callable[[], None],
) -> T | CallGuardError:
    """Ask, and once more if there is no answer after `patience` seconds.

    Whichever request is done first decides, by an answer or by a failure, so this takes no longer
    than the first request may. Of two that are done at once, an answer decides, or else the failure
    that allows the next request last. When this returns, raises or is cancelled, both have ended.

    Args:
        ask: makes one request; returns its failure, or the loser's would be logged as never heard.
        patience: in seconds, may be infinite.
        second_begins: called before the second request.
    """
    if patience == math.inf:
        return await ask()
    requests = [begin(ask(), "callguard request")]
    try:
        done, _ = await asyncio.wait(requests, timeout=patience)
        if not done:
            second_begins()
            requests.append(begin(ask(), "callguard second request"))
            await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        return max((request.result() for request in requests if request.done()), key=_weight)
    finally:
        if losers := [request for request in requests if not request.done()]:
            await end(losers)


def _weight(outcome: object) -> tuple[bool, float]:
    """An answer weighs most, then a failure that is no transient fault, then a long Retry-After."""
    if isinstance(outcome, LimitsUnavailable):
        return False, outcome.retry_after or 0.0
    return not isinstance(outcome, CallGuardError), math.inf
