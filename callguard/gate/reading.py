"""When the limits are read: while somebody wants to know, once per `ttl`, and never in a crowd.

Nor in an outage: after each attempt that fails, the next waits twice as long as the one before.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from callguard.decision import Outage
from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)
from callguard.limits import Snapshot
from callguard.pauses import PAUSE_AFTER_FAULT, pause
from callguard.showing import named
from callguard.source import LimitSource
from callguard.strangers import ends_us, log_failure
from callguard.tasks import begin

__all__ = ["Reader"]

logger = logging.getLogger("callguard")


class Reader:
    """Takes readings, one at a time, for as long as they are wanted.

    It is one timer or one task, however many callers wait.

    Args:
        source: where snapshots come from.
        ttl: seconds between the beginnings of two readings.
        min_interval: the same, for a reading that is brought forward.
        begins: called as each reading begins.
        turn_at: from when on a reading may be taken by what others know, in seconds on the loop's
            clock.

    Attributes:
        due_at: the moment from which the next reading may begin, in seconds on the loop's clock.
        error: why the latest attempt failed; None if it didn't.
        final: the same, where no further attempt can help: the provider refuses the key, or the
            session can't be used. Else None. It takes two such answers in a row, or one that is
            the very first: one among good ones is somebody's mistake.
    """

    def __init__(
        self,
        source: LimitSource,
        *,
        ttl: float,
        min_interval: float,
        begins: Callable[[], None],
        turn_at: Callable[[], float],
    ) -> None:
        self._source = source
        self._ttl = ttl
        self._min_interval = min_interval
        self._begins = begins
        self._turn_at = turn_at
        self._loop = asyncio.get_running_loop()
        self._began = -math.inf
        self._latest: float | None = None
        self._is_new = True
        self._in_vain_since = -math.inf
        self._failures = 0
        self._not_before = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        # Whether readings go on though nobody waits, and what is done at the end of each.
        self._insists = False
        self._attempted: asyncio.Future[None] | None = None
        self.due_at = -math.inf
        self.error: CallGuardError | None = None
        self.final: CallGuardError | None = None
        self._taken: Callable[[Snapshot, float], None]
        self._failed: Callable[[CallGuardError, float], None]
        self._wanted: Callable[[], bool]

    def serve(
        self,
        taken: Callable[[Snapshot, float], None],
        failed: Callable[[CallGuardError, float], None],
        wanted: Callable[[], bool],
    ) -> None:
        """Set for whom readings are taken; once, before the first.

        Args:
            taken: called with each snapshot, and the seconds it took, in the event loop.
            failed: called with each failure, and the seconds it took.
            wanted: whether the next reading is to be taken when it is due.
        """
        self._taken, self._failed, self._wanted = taken, failed, wanted

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

    async def first(self, within: float) -> None:
        """Wait for a snapshot, over all attempts that begin `within` so many seconds.

        Cancelling this leaves the reading to go on.
        """
        ends = self._loop.time() + within
        self._insists = True
        try:
            self.want()
            while (left := ends - self._loop.time()) > 0.0:
                self._attempted = self._loop.create_future()
                await asyncio.wait([self._attempted], timeout=left)
                if not self._may_pass or self.due_at >= ends:
                    return
        finally:
            self._insists = False
            if not self._wanted():
                self._stop_timer()

    @property
    def _may_pass(self) -> bool:
        """Whether the latest attempt met a fault of the provider's that the next may not meet."""
        of_the_ledger = isinstance(self.error, LedgerUnavailable)
        return self.error is not None and self.final is None and not of_the_ledger

    def outage(self) -> Outage | None:
        """Since when readings are tried in vain, and why."""
        if self.error is not None:
            return Outage(str(self.error), self._loop.time() - self._in_vain_since)
        if self._is_new and self._reading is not None:
            return Outage("no answer yet", self._loop.time() - self._began)
        return None

    def recovered(self, snapshot: Snapshot) -> None:
        """A snapshot came, whoever took it: no pause after a failure holds any more."""
        self._is_new = False
        if self.error is None:
            return
        self.error = self.final = None
        self._failures = 0
        self._not_before = -math.inf
        self.due_at = min(self.due_at, snapshot.began + self._ttl)
        if self._timer is not None:
            self._stop_timer()
            self.want()

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
            if self._insists or self._wanted():
                self.want()
            if self._attempted is not None and not self._attempted.done():
                self._attempted.set_result(None)

    async def _fetch(self) -> Snapshot | CallGuardError:
        try:
            return await self._source.get(newer_than=self._latest)
        except CallGuardError as error:
            return error
        except BaseException as error:
            if ends_us(error):
                raise
            log_failure(f"{named(self._source.get)} failed", error)
            return LimitsUnavailable(f"the source failed with {type(error).__name__}")

    def _note(self, snapshot: Snapshot) -> None:
        self.recovered(snapshot)
        began = self._began
        self._latest = self._began = snapshot.began
        self.due_at = snapshot.began + self._ttl
        self._taken(snapshot, self._loop.time() - began)

    def _note_failure(self, error: CallGuardError) -> None:
        now = self._loop.time()
        is_final = _can_be_final(error) and (
            self._is_new or (self.error is not None and _can_be_final(self.error))
        )
        began, self._began = self._began, now
        if self.error is None:
            self._in_vain_since = began
        self.error, self.final, self._is_new = error, error if is_final else None, False
        self.due_at = self._not_before = self._due_after(error, began, now)
        self._failed(error, now - began)

    def _due_after(self, error: CallGuardError, began: float, now: float) -> float:
        if isinstance(error, LedgerUnavailable):
            return now + self._ttl  # that costs the provider nothing
        self._failures += 1
        told_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
        soonest = now + max(told_to_wait or 0.0, PAUSE_AFTER_FAULT)
        # The request may have begun a little later than the reading.
        asked = min(now, began + self._ttl / 4)
        return max(asked + pause(self._ttl, self._failures), soonest, self._turn_at())


def _can_be_final(error: CallGuardError) -> bool:
    """Whether an error says that the next attempt can't fare better."""
    if isinstance(error, LimitsRejected):
        return error.of_the_key
    return isinstance(error, UsageError)
