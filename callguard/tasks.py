"""The tasks that callguard has of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["begin"]

T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task that begins at the loop's next turn, whatever the loop's task factory.

    An eager one, such as `asyncio.eager_task_factory`, would begin it inside of the step that
    wants it, and end it before its handle has a name.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)
