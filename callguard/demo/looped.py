"""Dialling as most people do today: read the counter, dial what seems to fit, sleep, again.

It is the loop of the dialers in public, with their numbers: where a reading fails they take it that
ten calls fit; a dial that fails is tried three times more, after 1, 2 and 4 s; and then there is a
line in a log, and the lead was taken from the queue before.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import aiohttp

from callguard.demo.leads import BULK, REFUSED, URGENT, Caller, Lead
from callguard.demo.progress import Reckoning

__all__ = ["TRIES", "LoopDialer"]

_SLEEP: Final = 2.0
_SLEEP_WHEN_FULL: Final = 5.0
_PAUSES: Final = (0.0, 1.0, 2.0, 4.0)
_ROOM_WHEN_UNKNOWN: Final = 10

TRIES: Final = len(_PAUSES)
"""Dials of a lead, all of them refused, after which it is given up."""


class LoopDialer:
    """Dials as many leads as the counter says that there is room for, batch after batch.

    An urgent lead goes to the front of the queue.

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
        self._lost = 0
        self._reason = "the counter has not been read yet"

    async def dial(self, leads: Sequence[Lead]) -> None:
        """Dial every lead, until all are placed or given up."""
        began = self._time()
        self._unknown.extend(sorted(leads, key=lambda lead: lead.known_after))
        while self._unknown or self._queue:
            self._queue_known(self._time() - began)
            room = await self._read_room()
            batch = [self._queue.popleft() for _ in range(min(room, len(self._queue)))]
            async with asyncio.TaskGroup() as group:
                for lead in batch:
                    group.create_task(self._dial(lead))
            await asyncio.sleep(_SLEEP if room else _SLEEP_WHEN_FULL)

    def reckoning(self) -> Reckoning:
        """The figures that the loop decides by: the last count, and nothing of its own."""
        waiting = Counter(lead.lane for lead in self._queue)
        return Reckoning(
            usage=None,
            waiting={URGENT: waiting[URGENT], BULK: waiting[BULK]},
            reason=self._reason,
            lost=self._lost,
        )

    def _queue_known(self, elapsed: float) -> None:
        while self._unknown and self._unknown[0].known_after <= elapsed:
            lead = self._unknown.popleft()
            if lead.lane == URGENT:
                self._queue.appendleft(lead)
            else:
                self._queue.append(lead)

    async def _read_room(self) -> int:
        try:
            async with self._session.get("/get-concurrency") as response:
                limits = await response.json()
        except (aiohttp.ClientError, ValueError):
            self._reason = f"the counter can't be read: {_ROOM_WHEN_UNKNOWN} are dialled"
            return _ROOM_WHEN_UNKNOWN
        count, limit = limits["current_concurrency"], limits["concurrency_limit"]
        room: int = max(0, limit - count)
        self._reason = f"{count} of {limit} in use, says the counter: {room} are dialled"
        return room

    async def _dial(self, lead: Lead) -> None:
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                await self._caller.call(lead)
            except aiohttp.ClientResponseError as error:
                if error.status != REFUSED:
                    raise
            else:
                return
        self._lost += 1
