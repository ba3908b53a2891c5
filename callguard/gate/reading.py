"""When the limits are read: while somebody wants to know, once per `ttl`, and never in a crowd."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Protocol

from callguard.errors import CallGuardError, LimitsRejected, LimitsUnavailable, UsageError
from callguard.fetcher.reading import PAUSE_AFTER_FAULT
from callguard.limits import Snapshot
from callguard.showing import named
from callguard.strangers import ends_us, log_failure
from callguard.tasks import begin

__all__ = ["Fetcher", "Reader"]

_KEY_REFUSED = 401
"""The one status that says so (docs.retellai.com/api-references/get-concurrency, 2026-11-22); any
other may be a firewall's or a deployment's, and pass."""

logger = logging.getLogger("callguard")


class Fetcher(Protocol):
    """Where readings come from; see `callguard.LimitFetcher`."""

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """A reading, one that began after `newer_than` (seconds on the loop's clock) if given."""


class Reader:
    """Takes readings, one at a time, for as long as they are wanted.

    It is one timer or one task, however many callers wait.

    Args:
        fetcher: where readings come from.
        ttl: seconds between the beginnings of two readings.
        min_interval: the same, for a reading that is brought forward.
        begins: called as each reading begins.
        taken: called with each reading, the seconds it took, in the event loop.
        failed: called with each failure, and the seconds it took.
        wanted: whether the next reading is to be taken when it is due.

    Attributes:
        due_at: the moment from which the next reading may begin, in seconds on the loop's clock.
        error: why the latest attempt failed; None if it didn't.
        final: the same, where no further attempt can help: the provider refuses the key, or the
            session can't be used. Else None. It takes two such answers in a row, or one that is
            the very first: one among good ones is somebody's mistake.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        ttl: float,
        min_interval: float,
        begins: Callable[[], None],
        taken: Callable[[Snapshot, float], None],
        failed: Callable[[CallGuardError, float], None],
        wanted: Callable[[], bool],
    ) -> None:
        self._fetcher = fetcher
        self._ttl = ttl
        self._min_interval = min_interval
        self._begins = begins
        self._taken = taken
        self._failed = failed
        self._wanted = wanted
        self._loop = asyncio.get_running_loop()
        self._began = -math.inf
        self._latest: float | None = None
        self._is_new = True
        self._not_before = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self.due_at = -math.inf
        self.error: CallGuardError | None = None
        self.final: CallGuardError | None = None

    def want(self) -> None:
        """See to it that a reading is taken as soon as one is due."""
        if self._reading is not None or self._timer is not None:
            return
        if self.due_at <= self._loop.time():
            self._begin()
        else:
            self._timer = self._loop.call_at(self.due_at, self._begin)

    def hasten(self) -> None:
        """Bring the next reading forward, not closer than `min_interval` to the one before."""
        soon = max(self._began + self._min_interval, self._not_before)
        self.due_at = min(self.due_at, soon)
        if self._timer is not None:
            self._stop_timer()
            self.want()

    async def renew(self) -> None:
        """Wait for the reading under way, or for one that begins now if one is due.

        Cancelling this leaves the reading to go on. Whether it failed is in `error`.
        """
        if self._reading is None and self.due_at <= self._loop.time():
            self._stop_timer()
            self._begin()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def aclose(self) -> None:
        """End the timer and the reading under way, and wait until it has ended."""
        self._stop_timer()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _begin(self) -> None:
        self._timer = None
        self._begins()
        self._began = self._loop.time()
        self._reading = begin(self._read(), "callguard reading")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _read(self) -> None:
        try:
            outcome = await self._fetch()
        finally:
            self._reading = None
        try:
            if isinstance(outcome, Snapshot):
                self._note(outcome)
            else:
                self._note_failure(outcome)
        finally:  # whatever went wrong in telling of this reading, there is a next one
            if self._wanted():
                self.want()

    async def _fetch(self) -> Snapshot | CallGuardError:
        try:
            return await self._fetcher.get(newer_than=self._latest)
        except CallGuardError as error:
            return error
        except BaseException as error:
            if ends_us(error):
                raise
            log_failure(f"{named(self._fetcher.get)} failed", error)
            return LimitsUnavailable(f"the fetcher failed with {type(error).__name__}")

    def _note(self, snapshot: Snapshot) -> None:
        self._outage_is_over()
        began = self._began
        self._latest = self._began = snapshot.began
        self.due_at = snapshot.began + self._ttl
        self._taken(snapshot, self._loop.time() - began)

    def _outage_is_over(self) -> None:
        self.error = self.final = None
        self._is_new = False

    def _note_failure(self, error: CallGuardError) -> None:
        now = self._loop.time()
        is_final = _can_be_final(error) and (
            self._is_new or (self.error is not None and _can_be_final(self.error))
        )
        self.error, self.final, self._is_new = error, error if is_final else None, False
        told_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
        pause = max(told_to_wait or 0.0, PAUSE_AFTER_FAULT)
        self.due_at = now + max(self._ttl, pause)
        self._not_before = now + pause
        began, self._began = self._began, now
        self._failed(error, now - began)


def _can_be_final(error: CallGuardError) -> bool:
    """Whether an error says that the next attempt can't fare better."""
    if isinstance(error, LimitsRejected):
        return error.status == _KEY_REFUSED
    return isinstance(error, UsageError)
