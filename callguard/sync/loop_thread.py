"""The thread of a gate: an event loop, and the way into it from all other threads."""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from threading import Thread
from typing import Any, Final, TypeVar
from weakref import WeakSet, ref

from callguard.errors import UsageError
from callguard.sync.crossing import Crossing
from callguard.tasks import begin, end

__all__ = ["LoopThread"]

T = TypeVar("T")

Settled = Callable[[asyncio.Task[Any] | None], None]

_GONE_FOR: Final = 1.0
"""Seconds within which the loop hears of an object that is gone, if nothing else wakes it; our
choice: a slot lost for a moment, against wake-ups of a gate with nothing to do."""


class LoopThread:
    """A daemon thread that runs an event loop until `close`.

    Other threads hand over steps, which the loop runs in the order in which they came. Many steps
    need one wake-up of the loop only: the first of them causes it. But whoever waits for a step
    doesn't rely on a wake-up that is only about to come: that caller may be a signal's handler,
    which has interrupted the very thread that was to cause it.

    A step runs in a copy of its caller's context, where a listener finds that caller's trace.

    Args:
        name: the thread's name.

    Attributes:
        loop: the event loop.
        is_forked: whether this process was forked from the one in which the thread runs.
        has_ended: whether the loop has ended; steps then run in the threads that hand them over,
            and find a closed gate.
    """

    def __init__(self, name: str) -> None:
        self.is_forked = False
        self.has_ended = False
        self.loop: Final = asyncio.new_event_loop()
        self._steps: Final[deque[Callable[[], object]]] = deque()
        self._nobodys: Final = Context()
        # How often the steps were run; the latest of these rounds in which somebody was about to
        # wake the loop; and the latest in which it surely was woken.
        self._round = 0
        self._waking = self._woken = -1
        self._main: asyncio.Task[None] | None = None
        self._is_closing = False
        self._farewells: Final[set[_Farewell]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._waits: Final[dict[asyncio.Task[Any], Settled]] = {}
        self._thread: Final = Thread(target=self._run, name=name, daemon=True)
        self._life: Callable[[], Coroutine[Any, Any, None]]
        _living.add(self)

    def start(self, life: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start the thread, which runs `life` until that returns or is cancelled by `close`."""
        self._life = life
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads
            self.loop.close()
            raise

    def close(self) -> None:
        """Cancel `life`, and wait until the thread has ended; in a forked process do nothing.

        If the wait is interrupted, the thread ends nevertheless.

        Raises:
            UsageError: this thread runs an event loop.
        """
        if self.is_forked:
            return
        self.check()
        self.hand_over(self._close, waits=True)
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Check that the calling thread may wait for the loop.

        Raises:
            UsageError: it may not, because it runs an event loop, or is that of the gate itself; or
                the process was forked.
        """
        self.check_process()
        running = _get_running_loop()
        if running is self.loop:
            raise UsageError(
                "this is the gate's own thread, in which listeners are called, and nothing may "
                "wait in it: hand the work over to another thread"
            )
        if running is not None:
            refuse_to_block()

    def check_process(self) -> None:
        """Check that this is the process that started the thread.

        Raises:
            UsageError: it was forked from that one.
        """
        if self.is_forked:
            raise UsageError(
                "the gate was opened before this process was forked, and works in the parent only: "
                "open a gate in each process, after the fork, with one ledger for all, as in "
                'callguard.sync.open_gate(ledger="redis://...")'
            )

    def hand_over(self, step: Callable[[], object], *, waits: bool = False) -> None:
        """Let the loop run `step` soon, without waiting for it.

        Args:
            step: what to run.
            waits: whether the caller is about to wait for what the step does.

        Raises:
            UsageError: the process was forked.
        """
        self.check_process()
        self._steps.append(partial(copy_context().run, step))
        if self.has_ended:  # looked at after the step was added: either we run it, or the thread
            self._run_steps()
            return
        current = self._round
        if current != (self._woken if waits else self._waking):
            self._waking = current
            try:
                self._wake()
            except BaseException:  # a signal's handler, before the loop was woken, or after that
                self._wake()
                raise
            self._woken = current

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: the thread is about to run the rest
            self.loop.call_soon_threadsafe(self._run_steps, context=self._nobodys)

    def ask(self, question: Callable[[], T]) -> T:
        """Let the loop answer a question, and wait for that, which takes one round of the loop.

        Raises:
            UsageError: the calling thread runs another event loop, or the process was forked.
        """
        if _get_running_loop() is self.loop:
            return question()
        self.check()
        crossing = Crossing[T]()
        self.hand_over(lambda: crossing.answer(question), waits=True)
        return crossing.wait()

    def when_gone(self, owner: object, step: Callable[[], object]) -> None:
        """Run `step` at most a second after `owner` was collected. Called in the loop.

        No line of Python is run in the thread where that happens, as in ``__del__``: an exception
        of a signal's handler would be raised there, and so be lost. So nothing wakes the loop, and
        it looks by itself, as long as there is such an owner.
        """
        farewell = _Farewell(owner, self._steps.append)
        farewell.step, farewell.others = step, self._farewells
        self._farewells.add(farewell)
        if self._looking is None:
            self._look_again()

    def begin(self, work: Coroutine[Any, Any, T], settled: Settled) -> asyncio.Task[T]:
        """Start a task that ends with the gate at the latest. Called in the loop.

        Args:
            work: what the task runs.
            settled: called with the task when that has ended, or with None if the loop ends before,
                because a listener raised `SystemExit`.
        """
        task = begin(work, "callguard caller")
        self._waits[task] = settled
        task.add_done_callback(self._settle)
        return task

    # In the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                try:
                    runner.run(self._live())
                finally:
                    self._end_all()
        finally:
            self._give_up()
            self.has_ended = True
            while self._steps:
                with suppress(BaseException):  # others may wait for the next steps
                    self._run_steps()

    def _end_all(self) -> None:
        """End what still goes on after a listener's `SystemExit`, however many more it raises."""
        while tasks := asyncio.all_tasks(self.loop):
            self._give_up()
            with suppress(KeyboardInterrupt, SystemExit):
                self.loop.run_until_complete(end(tasks))

    def _give_up(self) -> None:
        while self._waits:
            _, settled = self._waits.popitem()
            settled(None)

    async def _live(self) -> None:
        if self._is_closing:
            return
        self._main = asyncio.current_task()
        try:
            with suppress(asyncio.CancelledError):
                await self._life()
        finally:
            await end(self._waits)

    def _settle(self, task: asyncio.Task[Any]) -> None:
        settled = self._waits.pop(task, None)
        if settled is not None:
            settled(task)
        elif not task.cancelled():
            task.exception()  # nobody waits for it any more; else Python would log it

    def _close(self) -> None:
        is_first, self._is_closing = not self._is_closing, True
        if is_first and self._main is not None:
            self._main.cancel()

    def _look(self) -> None:
        """Run the steps of owners that are gone."""
        self._looking = None
        if self._farewells:
            self._look_again()
        self._run_steps()

    def _look_again(self) -> None:
        self._looking = self.loop.call_later(_GONE_FOR, self._look, context=self._nobodys)

    def _run_steps(self) -> None:
        """Run the steps that are there. Those that are added meanwhile need no wake-up."""
        steps = self._steps
        try:
            for _ in range(len(steps)):
                try:
                    step = steps.popleft()
                except IndexError:  # once the loop has ended, several threads do this
                    break
                step()
        finally:
            self._round += 1  # whoever adds a step from now on wakes the loop
            if steps and not self.has_ended:
                self._waking = self._woken = self._round
                self.loop.call_soon(self._run_steps)  # after the loop's timers and readings


class _Farewell(ref[Any]):
    """A step for when an object is gone; its callback puts it among the other steps."""

    __slots__ = ("others", "step")

    others: set[_Farewell]
    step: Callable[[], object]

    def __call__(self) -> None:
        self.others.discard(self)
        self.step()


def refuse_to_block() -> None:
    """Raise the error for a caller whose thread runs an event loop.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        "callguard.sync would block the event loop that runs in this thread: use "
        "`async with callguard.open_gate()` here, or go to a thread by asyncio.to_thread"
    )


_living: Final[WeakSet[LoopThread]] = WeakSet()

_left_in_the_parent: Final[list[LoopThread]] = []
"""The threads of gates that were opened before this process was forked. They are kept, because to
collect a loop closes its selector, which the parent still uses."""


def _forked() -> None:
    for each in list(_living):
        each.is_forked = True
        _left_in_the_parent.append(each)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
