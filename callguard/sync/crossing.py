"""One exchange between a thread that waits and the thread of the gate's event loop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Crossing"]

T = TypeVar("T")


class Crossing(Generic[T]):
    """An answer that one thread waits for and another gives, once.

    Attributes:
        is_given: whether the answer is a value, and has come.
        value: the answer, once it is given.
    """

    __slots__ = ("_answered", "_error", "is_given", "value")

    def __init__(self) -> None:
        self._answered = Lock()
        self._answered.acquire()
        self._error: BaseException | None = None
        self.is_given = False
        self.value: T

    def give(self, value: T) -> None:
        """Answer with a value."""
        self.value = value
        self.is_given = True
        self._answered.release()

    def fail(self, error: BaseException) -> None:
        """Answer with an error, which `wait` raises."""
        self._error = error
        self._answered.release()

    def answer(self, question: Callable[[], T]) -> None:
        """Answer with the result of `question`, or with what it raises."""
        try:
            value = question()
        except BaseException as error:  # noqa: BLE001, `wait` raises it
            self.fail(error)
        else:
            self.give(value)

    def wait(self) -> T:
        """Wait for the answer; a signal's handler may interrupt the wait by an exception."""
        self._answered.acquire()
        error, self._error = self._error, None
        if error is None:
            return self.value
        try:
            raise error
        finally:
            del error  # its traceback has this frame, and would keep itself alive
