"""The readings of one gate: while they are wanted, one is in flight or its timer is set.

Only the ledger knows when a reading is due, and whose turn it is.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from callguard.decision import Outage
from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)
from callguard.fetcher import LimitFetcher
from callguard.ledger import Readings, Right
from callguard.limits import Snapshot
from callguard.showing import named
from callguard.source import LimitSource
from callguard.strangers import ends_us, log_failure
from callguard.tasks import begin

__all__ = ["Schedule"]

logger = logging.getLogger("callguard")


class Schedule:
    """Takes readings, one at a time, for as long as they are wanted.

    It asks the ledger for the right to read, lets the source read, and reports to the ledger, which
    passes the snapshot to all gates. It uses one timer or one task, however many callers wait.

    Args:
        source: the source of snapshots.
        readings: knows whose turn it is to read, and when.
        begins: called when a reading begins.

    Attributes:
        error: the error of the latest attempt; None if it succeeded.
        final: the same error if no further attempt can help, because the provider refuses the key
            or the session can't be used; else None. It takes two such answers in a row, or the very
            first answer: a single one among good ones is a mistake.
    """

    def __init__(
        self, source: LimitSource, readings: Readings[Any], *, begins: Callable[[], None]
    ) -> None:
        self._source = source
        self._readings = readings
        self._begins = begins
        self._loop = asyncio.get_running_loop()
        self._is_new = True
        self._began = math.inf
        self._in_vain_since = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        # Done when the next snapshot has come, or an attempt has failed; None if nobody waits.
        self._settled: asyncio.Future[None] | None = None
        self._insists = 0
        self.error: CallGuardError | None = None
        self.final: CallGuardError | None = None
        self._failed: Callable[[CallGuardError, float], None]
        self._wanted: Callable[[], bool]

    def serve(
        self, failed: Callable[[CallGuardError, float], None], wanted: Callable[[], bool]
    ) -> None:
        """Set the callbacks; called once, before the first reading.

        Args:
            failed: called with each failure of this gate's readings, and the seconds that it took.
            wanted: returns whether to take the next reading when it is due.
        """
        self._failed, self._wanted = failed, wanted

    def want(self) -> None:
        """Take a reading as soon as one is due, unless one is in flight or planned."""
        if self._reading is not None or self._timer is not None:
            return
        turn_at = self._readings.turn_at
        if turn_at <= self._loop.time():
            self._begin()
        else:
            self._timer = self._loop.call_at(turn_at, self._look_again)

    def look(self) -> None:
        """Move the timer forward if the next reading is now due earlier.

        A timer that is too early may fire, and is then set anew: a ledger's server reports that
        moment with each exchange, a little later or earlier each time.
        """
        if self._timer is not None and self._timer.when() > self._readings.turn_at:
            self._stop_timer()
            self.want()

    def _look_again(self) -> None:
        self._timer = None
        self.want()

    async def renew(self) -> None:
        """Wait for the reading in flight, or for one that begins now if one is due.

        If this is cancelled, the reading goes on. If the reading fails, `error` is set.
        """
        if self._is_due:
            with self._insisting():
                await self._settlement()

    async def first(self, within: float) -> None:
        """Wait up to `within` seconds for a snapshot, over several attempts.

        If this is cancelled, the reading goes on.
        """
        ends = self._loop.time() + within
        with self._insisting():
            goes_on = self._is_due
            while goes_on and (left := ends - self._loop.time()) > 0.0:
                await self._settlement(left)
                goes_on = self._may_pass and self._readings.turn_at < ends

    @property
    def _is_due(self) -> bool:
        return self._reading is not None or self._readings.due_at <= self._loop.time()

    async def _settlement(self, within: float | None = None) -> None:
        """Wait until a snapshot has come or an attempt has failed, at any gate."""
        if self._settled is None:
            self._settled = self._loop.create_future()
        settled = self._settled
        if self._reading is None and self._is_due:
            self._stop_timer()
            self._begin()
        self.want()
        await asyncio.wait([settled], timeout=within)

    @contextmanager
    def _insisting(self) -> Iterator[None]:
        """Keep taking readings during the block, even if nobody is in the queue."""
        self._insists += 1
        try:
            yield
        finally:
            self._insists -= 1
            if not self._is_wanted:
                self._stop_timer()

    @property
    def _is_wanted(self) -> bool:
        # Once a reading is settled, a waiter of `_settlement` has been served; it waits again if it
        # needs another.
        return (self._insists > 0 and self._settled is not None) or self._wanted()

    @property
    def _may_pass(self) -> bool:
        """Whether the latest attempt failed by a fault of the provider that may be transient."""
        of_the_ledger = isinstance(self.error, LedgerUnavailable)
        return self.error is not None and self.final is None and not of_the_ledger

    def outage(self) -> Outage | None:
        """Since when readings have failed, and why; None if they haven't."""
        if self.error is not None:
            return Outage(str(self.error), self._loop.time() - self._in_vain_since)
        if self._is_new and self._began < math.inf:
            return Outage("no answer yet", self._loop.time() - self._began)
        return None

    def recovered(self) -> None:
        """Note that a snapshot came, taken by any gate."""
        self._is_new = False
        self.error = self.final = None
        self.look()
        self._settle()

    def note_failure(self, error: CallGuardError, duration: float) -> None:
        """Note that an attempt of any gate has failed, `duration` seconds after it began."""
        is_final = _can_be_final(error) and (
            self._is_new or (self.error is not None and _can_be_final(self.error))
        )
        if self.error is None:
            self._in_vain_since = self._loop.time() - duration
        self.error, self.final, self._is_new = error, error if is_final else None, False
        self.look()
        self._settle()

    async def aclose(self) -> None:
        """Cancel the timer and the reading in flight, and wait until it has ended."""
        self._stop_timer()
        self._settle()
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

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self._settled = None

    async def _read(self) -> None:
        began = self._loop.time()
        goes_on = True
        try:
            error = await self._attempt()
            self._reading = None
            if error is not None:
                self._failed(error, self._loop.time() - began)
        except BaseException as error:
            goes_on = not ends_us(error)
            raise
        finally:  # even if reporting this reading failed, take the next one
            self._reading = None
            if goes_on and self._is_wanted:
                self.want()

    async def _attempt(self) -> CallGuardError | None:
        """Read if it is this gate's turn; return the error if that failed."""
        outcome: Snapshot | CallGuardError | None = None
        try:
            right = await self._readings.right(self._loop.time())
            if right is not None:
                outcome = await self._ask_source(right)
                now = self._loop.time()
                await self._readings.report(right, outcome, now, wait=self._wait(now))
        except LedgerUnavailable as error:
            return outcome if isinstance(outcome, CallGuardError) else error
        return outcome if isinstance(outcome, CallGuardError) else None

    def _wait(self, now: float) -> float:
        """Seconds that other gates have to wait, too, since the fetcher has just asked twice."""
        free_at = self._source.free_at if isinstance(self._source, LimitFetcher) else now
        return max(0.0, free_at - now)

    async def _ask_source(self, right: Right) -> Snapshot | CallGuardError:
        try:
            return await self._source.get(newer_than=right.newer_than)
        except CallGuardError as error:
            return error
        except BaseException as error:
            if ends_us(error):
                raise
            log_failure(f"{named(self._source.get)} failed", error)
            return LimitsUnavailable(f"the source failed with {type(error).__name__}")


def _can_be_final(error: CallGuardError) -> bool:
    """Whether an error shows that the next attempt can't succeed either."""
    if isinstance(error, LimitsRejected):
        return error.of_the_key
    return isinstance(error, UsageError)
