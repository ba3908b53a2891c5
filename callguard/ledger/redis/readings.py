"""One worker's side of the readings: one worker reads, and all others get the result."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Final

from callguard.errors import CallGuardError, LedgerUnavailable, LimitsUnavailable
from callguard.ledger.protocol import Reader
from callguard.ledger.readings import OwnRight
from callguard.ledger.redis.failure import Failure, reason
from callguard.ledger.redis.view import View
from callguard.ledger.redis.wire import (
    Failed,
    NextReading,
    Request,
    Right,
    SharedSnapshot,
    Taken,
    encoded,
)
from callguard.limits import Limits, Snapshot

__all__ = ["SharedReadings", "SharedRight"]

_YIELDS: Final = 0.2
"""Seconds for which a worker that failed lets others go first; an exchange takes less."""


@dataclass(frozen=True, slots=True)
class SharedRight:
    """The right to read, which the server has given to this worker alone.

    Attributes:
        epoch: the epoch of the ledger that gave it.
        token: a token that tells this right from all others.
        began: when the right was given, in milliseconds on the ledger's clock.
        heard: when this worker got it, in seconds on its own clock.
    """

    epoch: str
    token: int
    began: int
    heard: float

    @property
    def newer_than(self) -> float:
        """The moment after which the request must begin, in seconds on the event loop's clock."""
        return self.heard

    def date(self, request_began: float) -> int:
        """Convert when a request began to the ledger's time, in ms, never too late.

        Moments of two clocks are never compared, only durations on each of them.
        """
        return self.began + int(max(0.0, request_began - self.heard) * 1000)


class SharedReadings:
    """The readings of a shared ledger: the worker that read last reads again, while anybody waits.

    The others ask for the right to read if no snapshot has come for one `ttl` longer. After a
    worker failed to read, any other goes first, because the fault may be that worker's, and not the
    provider's. All workers get the failure, so all of them back off after it.

    While the server can't be reached, a worker with a local share reads for itself.

    Args:
        worker: the worker's id.
        view: the worker's view of the ledger.
        ttl: seconds between two readings.
        mark: a mark that tells this worker's key from others.
        clock: the event loop's clock, in seconds.
        consult: makes an exchange.

    Attributes:
        knows: when the latest snapshot that this worker knows began; 0 for none.
        taken: the limits of the snapshot that the next exchange reports; None if it reports none.
    """

    def __init__(
        self,
        worker: str,
        view: View,
        ttl: float,
        mark: str,
        clock: Callable[[], float],
        consult: Callable[[], Awaitable[None]],
    ) -> None:
        self._worker = worker
        self._view = view
        self._own = view.own_readings
        self._ttl = ttl
        self._mark = mark
        self._clock = clock
        self._consult = consult
        self._reader: Reader
        self._epoch = ""
        self.knows = 0
        self._took_the_latest = False
        self._due_at = -math.inf
        self._free_at = -math.inf
        self._away_until = -math.inf
        # The right to read: whether it is asked for, the one that was given, the one in use.
        self._asks = False
        self._given: SharedRight | None = None
        self._used: SharedRight | None = None
        # The outcome to report, and the part of it that the latest request has reported.
        self._taken: Taken | None = None
        self.taken: Limits | None = None
        self._failed: Failed | None = None
        self._said: tuple[Taken | None, Failed | None] = (None, None)
        # The failure of the latest reading of any worker; None if it succeeded.
        self._failure: Failure | None = None
        # This worker's latest failed reading, and whether it was its latest of all.
        self._in_vain = 0
        self._failed_last = False

    # What the gate asks --------------------------------------------------------------------------

    @property
    def due_at(self) -> float:
        """The earliest moment for the next reading, at any gate."""
        return self._own.due_at if self._view.reads_alone else max(self._due_at, self._away_until)

    @property
    def turn_at(self) -> float:
        """When this worker should read for its callers, if no other worker has by then."""
        if self._view.reads_alone:
            return self._own.due_at
        goes_first = self._took_the_latest or self._view.outdated or self._failure is not None
        turn_at = self._due_at if goes_first else self._due_at + self._ttl
        yields = _YIELDS if self._failed_last else 0.0
        return max(turn_at + yields, self._free_at + yields, self._away_until)

    @property
    def under_way(self) -> bool:
        """Whether this worker is reading, which it has to report from time to time."""
        return self._used is not None

    def serve(self, reader: Reader) -> None:
        """Set the reader that receives snapshots; called once, before the first reading."""
        self._reader = reader
        self._own.serve(reader)

    async def right(self, now: float) -> SharedRight | OwnRight | None:
        """Return the right to read, if the server gives it to this worker now.

        Raises:
            LedgerUnavailable: the server can't be reached, and there is no share.
        """
        try:
            if not self._view.reads_alone:
                return await self._ask()
        except LedgerUnavailable:
            if not self._view.reads_alone:
                self._away_until = now + self._ttl  # that costs the provider nothing
                raise
        return await self._own.right(now)

    async def _ask(self) -> SharedRight | None:
        self._asks = True
        try:
            await self._consult()
        finally:
            self._asks = False
        self._used, self._given = self._given, None
        return self._used

    async def report(
        self,
        right: SharedRight | OwnRight,
        outcome: Snapshot | CallGuardError,
        now: float,
        *,
        wait: float = 0.0,
    ) -> None:
        """Report the outcome of the reading by `right` to all workers.

        None of them begins another within `wait` seconds.

        Raises:
            LedgerUnavailable: the server can't be reached, and there is no share.
        """
        if isinstance(right, SharedRight):
            try:
                return await self._tell(right, outcome, wait)
            except LedgerUnavailable:
                if not self._view.reads_alone:
                    raise
                right = OwnRight(right.heard, None)
        return await self._own.report(right, outcome, now)

    async def _tell(
        self, right: SharedRight, outcome: Snapshot | CallGuardError, wait: float
    ) -> None:
        self._used = None
        self._failed_last = not isinstance(outcome, Snapshot)
        if right.epoch != self._epoch:
            return  # its date is on the clock of a ledger that is lost
        if isinstance(outcome, Snapshot):
            limits = self.taken = outcome.limits
            self._taken = {
                "token": right.token,
                "began": right.date(outcome.began),
                "current": limits.current_concurrency,
                "limits": encoded(asdict(limits)),
            }
            if wait > 0.0:
                self._taken["wait"] = math.ceil(wait * 1000)
        else:
            asked = outcome.retry_after if isinstance(outcome, LimitsUnavailable) else None
            took = max(0.0, self._clock() - right.heard)
            self._in_vain = right.token
            self._failed = {
                "token": right.token,
                "wait": math.ceil(max(asked or 0.0, wait) * 1000),
                "why": reason(outcome, self._mark, took),
            }
        await self._consult()

    def give_up(self) -> None:
        """Give up the right to read, so that another worker may read at once; this one leaves."""
        self._used = None

    # What is said in an exchange -----------------------------------------------------------------

    def add_to(self, request: Request) -> None:
        """Add the reports about readings to the next request."""
        if self._failure is not None:
            request["heard"] = self._failure.token
        if self._used is not None:
            request["reads"] = self._used.token
        if self._asks:
            request["wants_reading"] = True
        if self._taken is not None:
            request["taken"] = self._taken
        if self._failed is not None:
            request["failed"] = self._failed
        self._said = self._taken, self._failed

    def reported(self) -> None:
        """Note that the server has the latest request."""
        taken, failed = self._said
        if self._taken is taken:
            self._taken = self.taken = None
        if self._failed is failed:
            self._failed = None

    # What the server says ------------------------------------------------------------------------

    def begin_anew(self, epoch: str) -> None:
        """Note that the ledger, and so its clock, is another one."""
        self._epoch = epoch
        self.knows = 0
        self._view.heard.forget()
        self._failure = None
        self._given = self._used = None

    def note_sleep(self, slept: float) -> None:
        """Note that the machine slept for `slept` seconds, while the server's clock went on."""
        self._given = None  # another worker has it by now, and a sleep makes dates unusable
        self._due_at -= slept
        self._free_at -= slept

    def take_snapshot(self, shared: SharedSnapshot | None, local: Callable[[int], float]) -> None:
        """Pass on the latest snapshot, if it is news.

        Args:
            shared: the snapshot as the server has it; None if it is known.
            local: converts a moment of the ledger's clock to the event loop's seconds.
        """
        if shared is None or shared.began <= self.knows:
            return
        snapshot = Snapshot(shared.limits, local(shared.began), local(shared.received))
        self.knows = shared.began
        self._view.heard.add(shared.began, self._clock())
        self._failure = None
        self._took_the_latest = shared.reader == self._worker
        self._due_at, self._free_at = snapshot.began + self._ttl, -math.inf
        self._asks = False
        self._view.dated = snapshot
        self._reader.came(snapshot, snapshot.received - snapshot.began)

    def take_next(self, following: NextReading, *, others_wait: bool = False) -> None:
        """Take in when the next snapshot is due, and why the latest reading failed."""
        now = self._clock()
        self._away_until = -math.inf
        self._due_at = now + following.due_in / 1000
        self._free_at = now + following.free_in / 1000
        if following.failure is not None:
            self._take_failure(following.failure)
        self._reader.moved()
        if self._failure is not None and others_wait:
            self._reader.asked()

    def _take_failure(self, failure: Failure) -> None:
        """Report the error of another worker's failed reading, once, and only during the back-off.

        Of a failure that is longer ago nobody knows whether it would come again. If that were
        believed, a gate that opens after a key was refused would never ask, nor would any other.
        """
        is_known = self._failure is not None and self._failure.token == failure.token
        self._failure = failure
        error = failure.error_for(self._mark)
        if is_known or failure.token == self._in_vain or self._clock() >= self._due_at:
            return
        if error is not None:
            self._reader.failed(error, failure.took / 1000)

    def take_right(self, right: Right) -> None:
        """Take the right to read, which was asked for."""
        self._asks = False
        self._given = SharedRight(self._epoch, right.token, right.began, self._clock())

    def moved(self) -> None:
        """Note that the server can't be reached from now on."""
        self._reader.moved()
