"""One reading for all workers: whoever's turn it is reads, and the others hear of it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from callguard.errors import CallGuardError, LedgerUnavailable, LimitsUnavailable

if TYPE_CHECKING:
    from callguard.ledger.redis.conversation import TurnToRead
    from callguard.ledger.redis.session import Session
    from callguard.limits import Snapshot

__all__ = ["SharedReadings"]


class Fetcher(Protocol):
    """Where a reading comes from."""

    async def get(self, *, newer_than: float | None = None) -> Snapshot: ...


class SharedReadings:
    """A fetcher for one gate of many.

    Whoever has read last reads again, as long as anybody waits; the others ask for a turn when
    nothing has come for a `ttl` longer.

    Args:
        fetcher: asked in this worker's turn.
        session: the worker's connection to the books.
        ttl: seconds between two readings.
    """

    def __init__(self, fetcher: Fetcher, session: Session, ttl: float) -> None:
        self._fetcher = fetcher
        self._session = session
        self._ttl = ttl
        self._clock = asyncio.get_running_loop().time

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """A reading, this worker's own or another's. Cancelling gives up the turn.

        Args:
            newer_than: seconds on the event loop's clock: the reading began later. None stands for
                one that is younger than a `ttl`.

        Raises:
            LimitsError: it was this worker's turn, and there was no reading.
            LedgerUnavailable: the ledger can't be reached.
        """
        after = self._clock() - self._ttl if newer_than is None else newer_than
        asked = False
        while (snapshot := self._known(after)) is None:
            if self._session.desk.reads_alone:
                return await self._fetcher.get(newer_than=newer_than)
            ask_at = self._ask_at(asked)
            if self._clock() < ask_at:
                await self._session.news(until=ask_at)
                continue
            asked = True
            try:
                turn = await self._turn()
                if turn is not None:
                    await self._read(turn)
            except LedgerUnavailable:
                if not self._session.desk.reads_alone:
                    raise
        return snapshot

    def _known(self, after: float) -> Snapshot | None:
        snapshot = self._session.desk.snapshot
        return snapshot if snapshot is not None and snapshot.began > after else None

    def _ask_at(self, asked: bool) -> float:
        conversation, desk = self._session.conversation, self._session.desk
        if desk.snapshot is None and not asked:
            return -math.inf
        first = conversation.reads or desk.outdated
        return conversation.due_at if first else conversation.late_at

    async def _turn(self) -> TurnToRead | None:
        conversation = self._session.conversation
        conversation.wants_reading = True
        try:
            await self._session.consult()
        finally:
            conversation.wants_reading = False
        turn, conversation.turn = conversation.turn, None
        return turn

    async def _read(self, turn: TurnToRead) -> None:
        conversation = self._session.conversation
        try:
            snapshot = await self._fetcher.get(newer_than=turn.heard)
        except CallGuardError as error:
            asked_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
            conversation.report_failure(turn, asked_to_wait or 0.0)
            self._session.speak()
            raise
        conversation.report(turn, snapshot)
        await self._session.consult()
