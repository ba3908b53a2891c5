"""One reading for all workers: whoever's turn it is reads, and the others hear of it."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from callguard.errors import CallGuardError, LedgerUnavailable, LimitsUnavailable
from callguard.ledger.redis.failure import told

if TYPE_CHECKING:
    from callguard.ledger.redis.conversation import ReadingRight
    from callguard.ledger.redis.session import Session
    from callguard.limits import Snapshot

__all__ = ["SharedReadings"]

_YIELDS: Final = 0.2
"""Seconds for which a worker that has failed lets others go first: an exchange takes less."""


class Fetcher(Protocol):
    """Where a reading comes from."""

    async def get(self, *, newer_than: float | None = None) -> Snapshot: ...


class SharedReadings:
    """A fetcher for one gate of many.

    Whoever has read last reads again, as long as anybody waits; the others ask for a turn when
    nothing has come for a `ttl` longer. After a turn that failed anybody else goes first: it may be
    the worker, and not the provider.

    A turn is held for as long as it takes, and a failed one is told to all, so that the pause after
    it is everybody's.

    Args:
        fetcher: asked in this worker's turn.
        session: the worker's connection to the ledger.
        ttl: seconds between two readings.
        mark: what this worker's key is told by.
    """

    def __init__(self, fetcher: Fetcher, session: Session, ttl: float, mark: str) -> None:
        self._fetcher = fetcher
        self._session = session
        self._ttl = ttl
        self._mark = mark
        self._raised = 0
        self._failed = False
        self._clock = asyncio.get_running_loop().time

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """A reading, this worker's own or another's. Cancelling gives up the turn.

        Args:
            newer_than: seconds on the event loop's clock: the reading began later. None stands for
                one that is younger than a `ttl`.

        Raises:
            LimitsError: there was no reading in this worker's turn, or in another's.
            LedgerUnavailable: the ledger can't be reached.
        """
        after = self._clock() - self._ttl if newer_than is None else newer_than
        asked = False
        while (snapshot := self._known(after)) is None:
            if self._session.view.reads_alone:
                return await self._fetcher.get(newer_than=newer_than)
            self._raise_failure()
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
                if not self._session.view.reads_alone:
                    raise
        return snapshot

    def turn_at(self) -> float:
        """When the next turn may begin, in seconds on the event loop's clock."""
        alone = self._session.view.reads_alone
        return -math.inf if alone else self._session.conversation.due_at

    def _raise_failure(self) -> None:
        """Raise what another's turn failed with, once."""
        failure = self._session.conversation.failure
        if failure is not None and failure.token != self._raised:
            self._raised = failure.token
            error = failure.error_for(self._mark)
            if error is not None:
                raise error

    def _known(self, after: float) -> Snapshot | None:
        snapshot = self._session.view.snapshot
        return snapshot if snapshot is not None and snapshot.began > after else None

    def _ask_at(self, asked: bool) -> float:
        conversation, view = self._session.conversation, self._session.view
        yields = _YIELDS if self._failed else 0.0
        if view.snapshot is None and not asked:
            return conversation.due_at + yields if yields else -math.inf
        failed = conversation.failure is not None
        first = conversation.reads or view.outdated or failed
        return (conversation.due_at if first else conversation.late_at) + yields

    async def _turn(self) -> ReadingRight | None:
        conversation = self._session.conversation
        conversation.wants_reading = True
        try:
            await self._session.consult()
        finally:
            conversation.wants_reading = False
        turn, conversation.turn = conversation.turn, None
        return turn

    async def _read(self, turn: ReadingRight) -> None:
        conversation = self._session.conversation
        conversation.reading = turn
        try:
            snapshot = await self._fetcher.get(newer_than=turn.heard)
        except CallGuardError as error:
            await self._report_failure(turn, error)
            raise
        finally:
            conversation.reading = None
        self._failed = False
        conversation.report(turn, snapshot)
        await self._session.consult()

    async def _report_failure(self, turn: ReadingRight, error: CallGuardError) -> None:
        conversation = self._session.conversation
        conversation.reading = None
        self._raised = turn.token
        self._failed = True
        asked_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
        conversation.report_failure(turn, asked_to_wait or 0.0, told(error, self._mark))
        with suppress(LedgerUnavailable):
            await self._session.consult()
