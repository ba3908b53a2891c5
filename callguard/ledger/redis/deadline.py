"""A time limit for many successive waits, with one timer for all of them."""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Deadline"]


class Deadline:
    """An `asyncio.timeout` for one wait after another: ``with deadline:``.

    `asyncio.timeout` makes a timer for each wait, and cancels it. This class keeps its timer: if it
    fires during a later wait, it is set to the end of that wait.

    Args:
        seconds: how long a wait may take before it ends with a TimeoutError.
    """

    __slots__ = ("_cancelling", "_expired", "_loop", "_seconds", "_task", "_timer", "_until")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline is for a wait in a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._until = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(self._until, self._look)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if not self._expired or task is None:
            return
        self._expired = False
        # If somebody else has cancelled the task as well, that cancellation takes precedence.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def close(self) -> None:
        """Stop the timer, after the last wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._look)
        else:
            self._expired = True
            self._task.cancel()
