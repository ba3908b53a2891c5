"""One snapshot for all workers: one has the right to read, and the others hear of what it read."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from callguard.errors import CallGuardError, LedgerUnavailable, LimitsUnavailable
from callguard.ledger.redis.failure import reason

if TYPE_CHECKING:
    from callguard.ledger.redis.conversation import ReadingRight
    from callguard.ledger.redis.session import Session
    from callguard.limits import Snapshot
    from callguard.source import LimitSource

__all__ = ["SharedReadings"]

_YIELDS: Final = 0.2
"""Seconds for which a worker that has failed lets others go first: an exchange takes less."""


class SharedReadings:
    """A fetcher for one gate of many.

    Whichever worker has read last reads again, as long as anybody waits; the others ask for the
    right to read when no snapshot has come for a `ttl` longer. After a worker has failed to read,
    any other goes first: the fault may be that worker's, and not the provider's.

    A worker has the right for as long as it is reading. All workers hear of a failure, so that all
    of them keep the pause after it.

    Args:
        source: where a snapshot comes from while this worker has the right to read.
        session: the worker's connection to the ledger.
        ttl: seconds between two readings.
        mark: what tells this worker's key from others.
    """

    def __init__(self, source: LimitSource, session: Session, ttl: float, mark: str) -> None:
        self._source = source
        self._session = session
        self._ttl = ttl
        self._mark = mark
        self._raised = 0
        self._failed = False
        self._clock = asyncio.get_running_loop().time

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """A snapshot, this worker's own or another's. Cancelling gives up the right to read.

        Args:
            newer_than: seconds on the event loop's clock: the snapshot began later. None stands for
                one that is younger than a `ttl`.

        Raises:
            LimitsError: this worker, or the one that had the right to, failed to read.
            LedgerUnavailable: the ledger can't be reached.
        """
        after = self._clock() - self._ttl if newer_than is None else newer_than
        asked = False
        while (snapshot := self._known(after)) is None:
            if self._session.view.reads_alone:
                return await self._source.get(newer_than=newer_than)
            self._raise_failure()
            ask_at = self._ask_at(asked)
            if self._clock() < ask_at:
                await self._session.news(until=ask_at)
                continue
            asked = True
            try:
                right = await self._right()
                if right is not None:
                    await self._read(right)
            except LedgerUnavailable:
                if not self._session.view.reads_alone:
                    raise
        return snapshot

    def turn_at(self) -> float:
        """When the next snapshot may be taken, in seconds on the event loop's clock."""
        alone = self._session.view.reads_alone
        return -math.inf if alone else self._session.conversation.due_at

    def _raise_failure(self) -> None:
        """Raise the error of another worker that failed to read: once, and in the pause after it.

        Of one that is longer ago nobody knows whether it would come again. If that were believed,
        a gate that opens after a key was refused would never ask, nor would any other.
        """
        conversation = self._session.conversation
        failure = conversation.failure
        if failure is None or failure.token == self._raised:
            return
        self._raised = failure.token
        error = failure.error_for(self._mark)
        if error is not None and self._clock() < conversation.due_at:
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

    async def _right(self) -> ReadingRight | None:
        """The right to read, if the server gives it to this worker now."""
        conversation = self._session.conversation
        conversation.wants_reading = True
        try:
            await self._session.consult()
        finally:
            conversation.wants_reading = False
        right, conversation.right = conversation.right, None
        return right

    async def _read(self, right: ReadingRight) -> None:
        conversation = self._session.conversation
        conversation.reading = right
        try:
            snapshot = await self._source.get(newer_than=right.heard)
        except CallGuardError as error:
            await self._report_failure(right, error)
            raise
        finally:
            conversation.reading = None
        self._failed = False
        conversation.report(right, snapshot)
        await self._session.consult()

    async def _report_failure(self, right: ReadingRight, error: CallGuardError) -> None:
        conversation = self._session.conversation
        conversation.reading = None
        self._raised = right.token
        self._failed = True
        asked_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
        conversation.report_failure(right, asked_to_wait or 0.0, reason(error, self._mark))
        with suppress(LedgerUnavailable):
            await self._session.consult()
