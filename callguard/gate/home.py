"""The home of a gate: its event loop, and the way into it from other threads."""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop, _get_running_loop, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import Final, ParamSpec

from callguard.errors import GateClosed, GateDraining, UsageError

__all__ = ["ASKS_THE_SYSTEM", "Home"]

P = ParamSpec("P")

ASKS_THE_SYSTEM: Final = sys.version_info < (3, 12)
"""Whether asking asyncio for the running loop makes a system call, for the process id, to detect a
fork. That takes a third of an admission. A thread runs one loop at a time, so instead we compare
the thread, and ask the gate's loop whether it is running."""


class Home:
    """The event loop in which this is made. A gate's state changes in that loop only.

    Reports to a gate may come from any thread and any loop; `hand_over` passes them to the loop.
    Questions are refused elsewhere by `check`, since an answer can't wait for another thread.

    Attributes:
        loop: the event loop.
        open_in: the event loop while the gate is open; None once it drains or is closed.
        thread: the id of the event loop's thread.
        is_running: returns whether the event loop is running, in whatever thread.
        draining: whether the gate drains, and is not closed yet.

    Raises:
        UsageError: no asyncio event loop runs in this thread.
    """

    __slots__ = ("draining", "is_running", "loop", "open_in", "thread")

    def __init__(self) -> None:
        self.thread: Final = get_ident()
        try:
            self.loop = get_running_loop()
        except RuntimeError:
            raise UsageError(
                "a gate is opened in asyncio's event loop, and none runs in this thread: write "
                "`async with callguard.open_gate()` in a coroutine, and start that by asyncio.run"
            ) from None
        self.open_in: AbstractEventLoop | None = self.loop
        self.draining = False
        self.is_running: Final = self.loop.is_running

    def drain(self) -> None:
        """Note that the gate drains."""
        self.open_in, self.draining = None, True

    def close(self) -> None:
        """Note that the gate is closed."""
        self.open_in, self.draining = None, False

    def elsewhere(self) -> bool:
        """Whether the caller is neither in the event loop nor, while that stands still, its thread.

        Reports made elsewhere are handed over.
        """
        is_running = self.is_running
        if ASKS_THE_SYSTEM and get_ident() == self.thread and is_running():
            return False
        running = _get_running_loop()
        if running is self.loop:
            return False
        stands_still = not (self.loop.is_running() or self.loop.is_closed())
        return running is not None or not stands_still or get_ident() != self.thread

    def hand_over(self, step: Callable[P, object], *args: P.args, **options: P.kwargs) -> None:
        """Let the event loop call `step` as soon as it can.

        If the loop is closed, the gate no longer exists, and the step is dropped.
        """
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(partial(step, *args, **options))

    def check(self) -> None:
        """Check that the caller is in the event loop.

        Raises:
            UsageError: it isn't.
        """
        if self.elsewhere():
            raise UsageError(
                "the gate belongs to another event loop, or to another thread's: open one in each, "
                "or go there by asyncio.run_coroutine_threadsafe(..., loop). note_answered, "
                "note_ended and what a permit is told may come from anywhere"
            )

    def check_open(self) -> None:
        """Check that the gate is open, and that the caller is in the event loop.

        Raises:
            GateDraining: the gate drains.
            GateClosed: the gate is closed.
            UsageError: the caller is elsewhere.
        """
        if self.draining:
            raise GateDraining("the gate is draining, and admits nobody any more")
        if self.open_in is None:
            raise GateClosed("the gate is closed; use it inside of the block of `open_gate()`")
        self.check()
