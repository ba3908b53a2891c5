"""Dialling as most people do today: read the counter, start as many calls as fit, sleep, repeat.

This is the loop of public dialers at its best: after a failed reading they assume that ten calls
fit, while this one starts none.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import aiohttp

from callguard.demo.leads import BULK, REFUSED, URGENT, Caller, Lead
from callguard.demo.progress import Reckoning

__all__ = ["LoopDialer"]

_SLEEP: Final = 0.125
"""Seconds between two rounds: the 5 s of the quickest public loops, forty times as fast."""


class LoopDialer:
    """Starts in each round as many calls as there is room for by the counter.

    A refused lead goes back to the end of the queue, and an urgent one to its front.

    Args:
        session: a session made by `session_of`.
        caller: places the calls.
    """

    def __init__(self, session: aiohttp.ClientSession, caller: Caller) -> None:
        self._session = session
        self._caller = caller
        self._time = asyncio.get_running_loop().time
        self._unknown: deque[Lead] = deque()
        self._queue: deque[Lead] = deque()
        self._unplaced = 0
        self._readings = 0
        self._read_at: float | None = None
        self._room = 0
        self._reason = "the counter has not been read yet"

    async def dial(self, leads: Sequence[Lead]) -> None:
        """Dial all leads, until every call is placed."""
        began = self._time()
        self._unknown.extend(sorted(leads, key=lambda lead: lead.known_after))
        self._unplaced = len(leads)
        async with asyncio.TaskGroup() as group:
            while self._unplaced:
                self._queue_known(self._time() - began)
                await self._read()
                for _ in range(min(self._room, len(self._queue))):
                    group.create_task(self._dial(self._queue.popleft()))
                await asyncio.sleep(_SLEEP)

    def reckoning(self) -> Reckoning:
        """The figures that the loop decides by: the last count, and nothing of its own."""
        waiting = Counter(lead.lane for lead in self._queue)
        return Reckoning(
            usage=None,
            waiting={URGENT: waiting[URGENT], BULK: waiting[BULK]},
            readings=self._readings,
            snapshot_age=None if self._read_at is None else self._time() - self._read_at,
            reason=self._reason,
        )

    def _queue_known(self, elapsed: float) -> None:
        while self._unknown and self._unknown[0].known_after <= elapsed:
            lead = self._unknown.popleft()
            if lead.lane == URGENT:
                self._queue.appendleft(lead)
            else:
                self._queue.append(lead)

    async def _read(self) -> None:
        """Read the counter; if that fails, there is no room in this round."""
        self._room = 0
        began = self._time()
        try:
            async with self._session.get("/get-concurrency") as response:
                limits = await response.json()
        except (aiohttp.ClientError, ValueError):
            self._reason = "the counter can't be read: none start"
            return
        self._readings += 1
        self._read_at = began
        count, limit = limits["current_concurrency"], limits["concurrency_limit"]
        self._room = max(0, limit - count)
        self._reason = f"{count} of {limit} in use, says the counter: {self._room} more start"

    async def _dial(self, lead: Lead) -> None:
        try:
            await self._caller.call(lead)
        except aiohttp.ClientResponseError as error:
            if error.status != REFUSED:
                raise
            self._queue.append(lead)
        else:
            self._unplaced -= 1
