"""Starting and ending callguard's own tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

__all__ = ["begin", "end"]

T = TypeVar("T")

_CANCELLED_AGAIN: Final = 0.1
"""Seconds after which a task that has not ended is cancelled again; any number will do."""


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Start a task at the loop's next iteration, whatever the loop's task factory is.

    An eager factory, such as `asyncio.eager_task_factory`, would start it within the caller's step,
    and might even end it before the caller has its handle.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, repeatedly, until they have ended.

    Once is not enough: redis-py may swallow a cancellation (`asyncio.wait_for` on Python 3.11).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCELLED_AGAIN)
