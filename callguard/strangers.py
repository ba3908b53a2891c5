"""Exceptions of foreign code, and what they mean for ours."""

from __future__ import annotations

import asyncio
import logging

from callguard.showing import traced

__all__ = ["ends_us", "log_failure"]

logger = logging.getLogger("callguard")


def ends_us(error: BaseException) -> bool:
    """Whether an exception from a foreign coroutine is meant to end our task.

    It is if the task was cancelled, or the process is about to end. A CancelledError alone proves
    neither: ``future.result()`` raises it too, and so does awaiting a task that others cancelled.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)


def log_failure(what: str, error: BaseException) -> None:
    """Log a failure of foreign code, with the traceback of `error`."""
    logger.error("%s\n%s", what, traced(error))
