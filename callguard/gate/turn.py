"""`Turn`: a caller's position in the queue, which it keeps while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from callguard.errors import AdmissionTimeout
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
        self._rank: int | None = None  # none before the first wait

    @property
    def waiting(self) -> int:
        """How many callers wait on this lane and trunk."""
        return self._queue.length

    async def place(
        self, dial: Callable[[Permit], Awaitable[T]], *, timeout: float, attempts: int | StopBaseT
    ) -> T:
        """Place a call as `Gate.place` does; after a wait in vain, this may be called again.

        Cancelling the wait keeps the position too.

        Args:
            dial: as in `Gate.place`.
            timeout: seconds to wait in the queue at most, this time.
            attempts: as in `Gate.place`.

        Raises:
            AdmissionTimeout: the wait took too long; the position is kept.
            Exception: as in `Gate.place`.
        """
        from callguard.gate.dialling import Dialling  # noqa: PLC0415 - brings tenacity

        dialling = Dialling(
            self._admissions, self._queue, timeout, attempts, False, 0.0, rank=self._rank
        )
        try:
            return await dialling.place(dial)
        except (AdmissionTimeout, asyncio.CancelledError):
            self._rank = dialling.rank
            raise
