"""The tasks that callguard has of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

__all__ = ["begin", "end"]

T = TypeVar("T")

_CANCELLED_AGAIN: Final = 0.1
"""Seconds after which a task that has not ended is cancelled again: any will do."""


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task that begins at the loop's next iteration, whatever the loop's task factory.

    An eager one, such as `asyncio.eager_task_factory`, would begin it inside of the step that
    wants it, and end it before its handle has a name.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: redis-py may swallow a cancellation (`asyncio.wait_for` on Python 3.11).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCELLED_AGAIN)
