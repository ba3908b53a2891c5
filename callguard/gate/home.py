"""Where a gate lives: its event loop, and how word reaches it from other threads."""

from __future__ import annotations

import sys
from asyncio import AbstractEventLoop, _get_running_loop, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import ParamSpec

from callguard.errors import GateClosed, GateDraining, UsageError

__all__ = ["Home"]

P = ParamSpec("P")


class Home:
    """The event loop in which this is made. All that a gate keeps changes there and nowhere else.

    What a gate is told may come from any thread and any loop: `hand_over` brings it home. What it
    is asked, `check` refuses elsewhere, since an answer can't wait for another thread.

    Attributes:
        loop: the event loop.
        open_in: the same while the gate is open; None once it drains or is closed.
        draining: whether the gate drains, and is not closed yet.
        running: gives the event loop that runs in the thread that asks, if any.

    Raises:
        UsageError: no event loop of asyncio's runs here.
    """

    __slots__ = ("_thread", "draining", "loop", "open_in", "running")

    def __init__(self) -> None:
        self._thread = get_ident()
        try:
            self.loop = get_running_loop()
        except RuntimeError:
            raise UsageError(
                "a gate is opened in asyncio's event loop, and none runs in this thread: write "
                "`async with callguard.open_gate()` in a coroutine, and start that by asyncio.run"
            ) from None
        self.open_in: AbstractEventLoop | None = self.loop
        self.draining = False
        self.running = _running_loop_for(self.loop)

    def drain(self) -> None:
        """From now on, the gate drains."""
        self.open_in, self.draining = None, True

    def close(self) -> None:
        """From now on, the gate is closed."""
        self.open_in, self.draining = None, False

    def elsewhere(self) -> bool:
        """Whether this is asked outside of the event loop, and of its thread while it stands still.

        What is said elsewhere is handed over.
        """
        running_here = self.running
        running = running_here()
        if running is self.loop:
            return False
        stands_still = not (self.loop.is_running() or self.loop.is_closed())
        return running is not None or not stands_still or get_ident() != self._thread

    def hand_over(self, step: Callable[P, object], *args: P.args, **options: P.kwargs) -> None:
        """Have the event loop take `step` as soon as it can.

        A loop that is closed has no gate left to tell, and takes none.
        """
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(partial(step, *args, **options))

    def check(self) -> None:
        """Refuse to answer elsewhere.

        Raises:
            UsageError: this is not the event loop.
        """
        if self.elsewhere():
            raise UsageError(
                "the gate belongs to another event loop, or to another thread's: open one in each, "
                "or go there by asyncio.run_coroutine_threadsafe(..., loop). note_answered, "
                "note_ended and what a permit is told may come from anywhere"
            )

    def check_open(self) -> None:
        """Refuse to admit elsewhere, or once the gate drains or is closed.

        Raises:
            GateDraining: it drains.
            GateClosed: it is closed.
            UsageError: this is not the event loop.
        """
        if self.draining:
            raise GateDraining("the gate is draining, and admits nobody any more")
        if self.open_in is None:
            raise GateClosed("the gate is closed; use it inside of `async with open_gate()`")
        self.check()


def _running_loop_for(loop: AbstractEventLoop) -> Callable[[], AbstractEventLoop | None]:
    """What `asyncio._get_running_loop` is, made cheap for those who ask in `loop`.

    Before Python 3.12 that is a system call, and a third of an admission: it asks for the process's
    number, in case that it was forked. A thread runs one loop at a time, so a loop that is running
    is the one of its own thread.
    """
    if sys.version_info >= (3, 12):
        return _get_running_loop
    thread, is_running = get_ident(), loop.is_running

    def running() -> AbstractEventLoop | None:
        return loop if get_ident() == thread and is_running() else _get_running_loop()

    return running
