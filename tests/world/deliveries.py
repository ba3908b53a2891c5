"""News of calls on their way to the gate: late, doubled, shuffled, or never to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.world.provider import Call

__all__ = ["Deliveries"]


class Deliveries:
    """Delivers what the plan of each call says, to whatever takes it in at that moment.

    Args:
        loop: whose time it is.
        started: takes in that a call was answered.
        ended: takes in that a call is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        started: Callable[[Call], None],
        ended: Callable[[Call], None],
    ) -> None:
        self._loop = loop
        self._started = started
        self._ended = ended
        self._ends = False

    def call_answered(self, call: Call) -> None:
        self._send(call.plan.started, self._started, call)

    def call_ended(self, call: Call) -> None:
        self._send(call.plan.ended, self._ended, call)

    def end(self) -> None:
        """What is under way is lost, and so is all that follows."""
        self._ends = True

    def _send(self, delays: tuple[float, ...], take_in: Callable[[Call], None], call: Call) -> None:
        if not self._ends:
            for delay in delays:
                self._loop.call_later(delay, self._arrive, take_in, call)

    def _arrive(self, take_in: Callable[[Call], None], call: Call) -> None:
        if not self._ends:
            take_in(call)
