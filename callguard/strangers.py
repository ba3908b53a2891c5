"""What an exception out of somebody else's code means to ours."""

from __future__ import annotations

import asyncio
import logging

from callguard.showing import traced

__all__ = ["ends_us", "log_failure"]

logger = logging.getLogger("callguard")


def ends_us(error: BaseException) -> bool:
    """Whether an exception that came out of somebody else's coroutine is meant for the task.

    So it is if the task was cancelled, or the process is to end. A CancelledError alone says
    neither: ``future.result()`` raises it as well, and so does awaiting what others cancelled.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)


def log_failure(what: str, error: BaseException) -> None:
    """Log a failure of somebody else's code, with where `error` came from."""
    logger.error("%s\n%s", what, traced(error))
