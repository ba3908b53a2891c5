"""`Turn`: a caller's position in the queue, which it keeps while it is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from callguard.errors import QueueFull
from callguard.gate.admissions import Admissions
from callguard.gate.permit import Permit
from callguard.gate.queue import Queue

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT

__all__ = ["Turn"]

T = TypeVar("T")


class Turn:
    """A position in the order of arrival, for a caller that is told to come back, and does.

    Whoever arrives while the caller is away is behind it when it is back. Nobody waits for it.

    Args:
        admissions: the gate's admissions.
        queue: the caller's queue.
    """

    __slots__ = ("_admissions", "_queue", "_rank")

    def __init__(self, admissions: Admissions, queue: Queue) -> None:
        self._admissions = admissions
        self._queue = queue
        self._rank: int | None = None  # none before the first call of `place`

    @property
    def waiting(self) -> int:
        """How many callers wait on this lane and trunk."""
        return self._queue.length

    async def place(
        self, dial: Callable[[Permit], Awaitable[T]], *, timeout: float, attempts: int | StopBaseT
    ) -> T:
        """Place a call as `Gate.place` does; this may be called again, from the same position.

        Cancelling the wait keeps the position too.

        Args:
            dial: as in `Gate.place`.
            timeout: seconds to wait in the queue at most, this time.
            attempts: as in `Gate.place`.

        Raises:
            AdmissionTimeout: the wait took too long.
            Exception: as in `Gate.place`.
        """
        from callguard.gate.dialling import Dialling  # noqa: PLC0415 - brings tenacity

        rank = self._rank
        dialling = Dialling(self._admissions, self._queue, timeout, attempts, False, 0.0, rank=rank)
        self._rank = dialling.rank
        try:
            return await dialling.place(dial)
        except QueueFull:
            self._rank = rank  # it was not in the queue
            raise
