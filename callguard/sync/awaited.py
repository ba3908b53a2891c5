"""A coroutine that runs in the gate's thread, while the caller's thread waits for its result."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from callguard.errors import GateClosed
from callguard.sync.crossing import Crossing

if TYPE_CHECKING:
    import asyncio

    from callguard.sync.loop_thread import LoopThread

__all__ = ["Awaited"]

T = TypeVar("T")


class Awaited(Crossing[T]):
    """A wait that leaves nothing behind, whatever exception ends it in the caller's thread.

    Args:
        thread: the gate's thread.
        work: makes the coroutine, in the gate's thread.
        in_vain: takes back the result if the caller is gone when it comes.
        by_hand: whether the coroutine begins at once, outside of a task. It must not ask for the
            current task before it waits for the first time.
    """

    __slots__ = (
        "_by_hand",
        "_has_failed",
        "_in_vain",
        "_is_abandoned",
        "_task",
        "_thread",
        "_work",
    )

    def __init__(
        self,
        thread: LoopThread,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        in_vain: Callable[[T], object] | None = None,
        by_hand: bool = False,
    ) -> None:
        super().__init__()
        self._thread = thread
        self._work = work
        self._in_vain = in_vain
        self._by_hand = by_hand
        self._task: asyncio.Task[T] | None = None
        self._has_failed = self._is_abandoned = False

    def result(self) -> T:
        """Wait for the coroutine's result; cancel it if an exception ends the wait.

        Raises:
            GateClosed: the gate was closed meanwhile.
            UsageError: this thread must not wait.
            BaseException: what the coroutine raised.
        """
        thread = self._thread
        thread.check()
        # Whether a signal's handler raises before the step is handed over, before the answer has
        # come or after it: the loop is told that nobody waits, and takes back what it granted.
        try:
            thread.hand_over(self._begin, waits=True)
            return self.wait()
        except BaseException:
            if not self._has_failed:
                thread.hand_over(self._abandon)
            raise

    # In the gate's thread ----------------------------------------------------------------------

    def _begin(self) -> None:
        """Run the coroutine up to its first wait, and the rest of it, if there is one, in a task.

        A task would begin one round of the loop later, and others would come between: a caller that
        is to wait would not be in the queue yet when a slot becomes free.
        """
        if self._thread.has_ended:
            self._fail(_closed())
            return
        try:
            work = self._work()
            if not self._by_hand:
                self._go_on(work)
                return
            awaited = work.send(None)
        except StopIteration as done:
            self.give(done.value)
        except BaseException as error:  # noqa: BLE001, the caller's thread raises it
            self._fail(error)
        else:
            self._go_on(_rest_of(work, awaited))

    def _go_on(self, work: Coroutine[Any, Any, T]) -> None:
        if self._thread.has_ended:
            work.close()
            self._fail(_closed())
            return
        self._task = self._thread.begin(work, self._settled)

    def _settled(self, task: asyncio.Task[T] | None) -> None:
        # The caller's thread must not be the last to let go of the task. Python then runs a line of
        # `weakref` in that thread, where what a signal's handler raises would be lost.
        self._task = None
        if task is None or task.cancelled():
            self._fail(_closed())  # or nobody waits any more
        elif (error := task.exception()) is not None:
            self._fail(error)
        elif self._is_abandoned:  # the cancellation came too late
            self._take_back(task.result())
        else:
            self.give(task.result())

    def _fail(self, error: BaseException) -> None:
        self._has_failed = True
        self.fail(error)

    def _abandon(self) -> None:
        self._is_abandoned = True
        if self._task is not None:
            self._task.cancel()
        if self.is_given:
            self._take_back(self.value)

    def _take_back(self, value: T) -> None:
        if self._in_vain is not None:
            self._in_vain(value)


def _closed() -> GateClosed:
    return GateClosed("the gate was closed while this caller waited")


async def _rest_of(work: Coroutine[Any, Any, T], awaited: Any) -> T:
    """Go on with a coroutine that has begun, and waits for `awaited`."""
    return await _steps(work, awaited)  # a task takes no generator, from Python 3.12 on


@coroutine
def _steps(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    try:
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001, the coroutine handles it
                awaited = work.throw(error)
            else:
                awaited = work.send(sent)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
