"""Asks the provider about the calls that the counter may not show yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from callguard.errors import CallGuardError
from callguard.fetcher import CallState
from callguard.showing import named
from callguard.strangers import ends_us, log_failure
from callguard.tasks import begin

__all__ = ["Asker"]

logger = logging.getLogger("callguard")

AT_ONCE = 8
"""Requests in flight at once: enough for 20 uncounted calls a second at 400 ms each, and probably
few enough for the provider's limits on requests, which are not published."""


class _Told(Protocol):
    """The recipient of the provider's answers: an `Issuer`."""

    def note_ringing(self, call_id: str, asked: float) -> None: ...
    def note_answered(self, call_id: str) -> None: ...
    def note_ended(self, call_id: str, *, refused: bool) -> None: ...


class Asker:
    """Asks about calls, one round at a time; a fault only costs the evidence.

    Args:
        state_of: asks about one call.
        told: takes the answer about each call.
        time: the event loop's clock, in seconds.
    """

    def __init__(
        self,
        state_of: Callable[[str], Awaitable[CallState]],
        told: _Told,
        time: Callable[[], float],
    ) -> None:
        self._state_of = state_of
        self._told = told
        self._time = time
        self._round: asyncio.Task[None] | None = None

    def ask(self, call_ids: Iterable[str]) -> None:
        """Begin a round about these calls, unless a round is still running."""
        asked = list(call_ids)
        if asked and (self._round is None or self._round.done()):
            self._round = begin(self._ask_all(asked), "callguard asking")

    async def aclose(self) -> None:
        """Cancel the running round, and wait until it has ended."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])

    async def _ask_all(self, call_ids: list[str]) -> None:
        left = iter(call_ids)
        await asyncio.gather(*(self._ask_in_turn(left) for _ in range(AT_ONCE)))

    async def _ask_in_turn(self, left: Iterator[str]) -> None:
        for call_id in left:
            asked = self._time()
            try:
                state = await self._state_of(call_id)
            except CallGuardError:
                continue
            except BaseException as error:
                if ends_us(error):
                    raise
                log_failure(f"{named(self._state_of)} failed", error)
                continue
            if state.over:
                self._told.note_ended(call_id, refused=state.refused)
            elif state.answered:
                self._told.note_answered(call_id)
            elif state.ringing:
                self._told.note_ringing(call_id, asked)
