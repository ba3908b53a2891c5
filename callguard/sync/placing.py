"""Placing a call for a thread: the gate's thread enters and retries, the caller's thread dials."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from callguard.errors import GateClosed
from callguard.gate import Permit as AsyncPermit
from callguard.sync.awaited import Awaited
from callguard.sync.loop_thread import LoopThread
from callguard.sync.permit import Permit

__all__ = ["Placing"]

T = TypeVar("T")


class _Turn(Generic[T]):
    """One dial.

    Attributes:
        permit: the permit to dial with.
        is_over: done in the gate's thread once the caller's thread has dialled.
        error: what the dial raised; None if it returned.
        value: what it returned.
        is_heeded: whether the gate knows how it ended; it doesn't if it was closed meanwhile.
    """

    __slots__ = ("error", "is_heeded", "is_over", "permit", "value")

    def __init__(self, permit: AsyncPermit, is_over: asyncio.Future[None]) -> None:
        self.permit = permit
        self.is_over = is_over
        self.error: Exception | None = None
        self.value: T
        self.is_heeded = False

    def outcome(self) -> T:
        """Return what the dial returned, or raise what it raised."""
        error = self.error
        if error is None:
            return self.value
        try:
            raise error
        finally:
            del error  # its traceback has this frame, and would keep itself alive

    def end(self) -> None:
        """Let the gate take the outcome. Called in its thread."""
        if not self.is_over.done():
            self.is_over.set_result(None)


class Placing(Awaited[T]):
    """One call on its way through the gate; see `Gate.place`.

    Args:
        thread: the gate's thread.
        dial: places the call, in the caller's thread.
        place: `callguard.Gate.place` with all arguments but `dial`.
    """

    __slots__ = ("_dial", "_turns")

    def __init__(
        self,
        thread: LoopThread,
        dial: Callable[[Permit], T],
        place: Callable[[Callable[[AsyncPermit], Awaitable[T]]], Coroutine[Any, Any, T]],
    ) -> None:
        super().__init__(thread, lambda: place(self._take_turn))
        self._dial = dial
        self._turns: SimpleQueue[_Turn[T] | None] = SimpleQueue()

    def wait(self) -> T:
        """Dial as often as the gate says, and return what it says in the end."""
        last: _Turn[T] | None = None
        while (turn := self._turns.get()) is not None:
            last = turn
            self._dial_in(turn)
            self._thread.hand_over(turn.end, waits=True)
        try:
            return super().wait()
        except GateClosed:
            if last is None or last.is_heeded:
                raise
        return last.outcome()  # the gate was closed during the dial, which is nothing to the call

    def _dial_in(self, turn: _Turn[T]) -> None:
        try:
            turn.value = value = self._dial(Permit.of(self._thread, turn.permit))
        except Exception as error:  # noqa: BLE001, the gate judges it, and raises it in the end
            turn.error = error
            return
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            turn.error = TypeError(
                "dial must be a plain function that returns once the call is placed, and this one "
                "returned an awaitable: it belongs to callguard.open_gate. It counts as a placed "
                "call"
            )

    # In the gate's thread ----------------------------------------------------------------------

    async def _take_turn(self, permit: AsyncPermit) -> T:
        """Let the caller's thread dial."""
        turn = _Turn[T](permit, self._thread.loop.create_future())
        self._turns.put(turn)
        await turn.is_over
        turn.is_heeded = True
        return turn.outcome()

    def give(self, value: T) -> None:
        """Answer with a value, after the last dial."""
        super().give(value)
        self._turns.put(None)

    def fail(self, error: BaseException) -> None:
        """Answer with an error, after the last dial."""
        super().fail(error)
        self._turns.put(None)
