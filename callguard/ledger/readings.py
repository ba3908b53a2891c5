"""The rule for when the limits are read, for a ledger in memory.

ledger/redis/lua/readings.lua has the same rule for gates that share a ledger.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from callguard.backoff import LEAST_BACKOFF, backoff
from callguard.errors import CallGuardError, LimitsUnavailable
from callguard.ledger.protocol import Reader
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["OwnReadings", "OwnRight"]


class OwnRight(NamedTuple):
    """The right to read, which no other gate can have.

    Attributes:
        began: when the right was given, in seconds on the event loop's clock.
        newer_than: when the latest snapshot began; None before the first.
    """

    began: float
    newer_than: float | None


class OwnReadings:
    """Plans one reading per `ttl`, from beginning to beginning, and a sooner one after a change.

    After each failed attempt, the wait before the next one doubles. Every method is one step, and
    takes the time as an argument, in seconds on the event loop's clock.

    Args:
        times: the durations that the ledger uses.

    Attributes:
        due_at: the earliest moment for the next reading.
    """

    __slots__ = (
        "_began",
        "_failures",
        "_latest",
        "_min_interval",
        "_not_before",
        "_reader",
        "_ttl",
        "due_at",
    )

    def __init__(self, times: Times) -> None:
        self.due_at = -math.inf
        self._ttl = times.ttl
        self._min_interval = times.min_interval
        self._reader: Reader
        self._latest: float | None = None
        self._began = -math.inf
        self._failures = 0
        self._not_before = -math.inf

    @property
    def turn_at(self) -> float:
        """When this gate should read for its callers: at `due_at`, since no other gate reads."""
        return self.due_at

    def serve(self, reader: Reader) -> None:
        """Set the reader that receives snapshots; called once, before the first reading."""
        self._reader = reader

    async def right(self, now: float) -> OwnRight:
        """Give the right to read, at once."""
        self._began = now
        return OwnRight(now, self._latest)

    async def report(
        self,
        right: OwnRight,
        outcome: Snapshot | CallGuardError,
        now: float,
        *,
        wait: float = 0.0,  # noqa: ARG002
    ) -> None:
        """Take in the outcome of the reading by `right`. There are no others that have to wait."""
        if not isinstance(outcome, Snapshot):
            self._fail(right, outcome, now)
            return
        latest = self._latest
        self._reader.came(outcome, now - right.began)
        if latest is not None and outcome.began <= latest:
            # The source returned an old snapshot again, and may do so without any wait.
            self.due_at = now + max(self._min_interval, LEAST_BACKOFF)

    def recorded(self, began: float, *, outdated: bool) -> None:
        """Note that the ledger has recorded a snapshot, taken by any gate.

        Args:
            began: when the snapshot began.
            outdated: whether the count is known to have changed since.
        """
        self._failures = 0
        self._not_before = -math.inf
        self._began = self._latest = began
        self.due_at = began + self._ttl
        if outdated:
            self.changed()

    def changed(self) -> None:
        """Note that the count has changed: read sooner, but not closer than `min_interval`."""
        soon = max(self._began + self._min_interval, self._not_before)
        self.due_at = min(self.due_at, soon)

    def _fail(self, right: OwnRight, error: CallGuardError, now: float) -> None:
        self._failures += 1
        self._began = now
        asked_to_wait = error.retry_after if isinstance(error, LimitsUnavailable) else None
        soonest = now + max(asked_to_wait or 0.0, LEAST_BACKOFF)
        # The request may have begun a little later than the right to read.
        asked = min(now, right.began + self._ttl / 4)
        self.due_at = self._not_before = max(asked + backoff(self._ttl, self._failures), soonest)
