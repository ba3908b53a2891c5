"""How long things last in a shared ledger."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from callguard.ledger.memory import EARLY_EVIDENCE, EARLY_EVIDENCE_SECONDS
from callguard.ledger.redis.ledger_clock import JITTER
from callguard.ledger.times import Times
from callguard.pauses import LONGEST_PAUSE, PAUSE_AFTER_FAULT

__all__ = ["PATIENCE", "Settings"]

PATIENCE: Final = 0.25
"""Seconds for which a slot is set aside for a worker that was called to come and take it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds.

    Attributes:
        times: those of any ledger.
        lease: a worker's silence after which the calls that it was dialling count as placed.
        grace: how long a new ledger admits nobody, so that a worker that knew another can object.
        timeout: how long one exchange may take.
    """

    times: Times
    lease: float
    grace: float
    timeout: float

    @property
    def heartbeat(self) -> float:
        """Seconds between two renewals of the lease, so that four may fail before it runs out."""
        return self.lease / 5

    def for_script(self) -> bytes:
        """What the script goes by, in its order and in its milliseconds, rounded up.

        Constants that the script shares with this side are among it, so that none stands twice.
        """
        times = self.times
        seconds = (
            times.counted_after,
            times.counter_lag,
            times.ttl,
            times.min_interval,
            times.max_age,
            self.lease,
            self.grace,
            JITTER,
            PAUSE_AFTER_FAULT,
            LONGEST_PAUSE,
            PATIENCE,
            EARLY_EVIDENCE_SECONDS,
        )
        milliseconds = (math.ceil(value * 1000) for value in seconds)
        return b" ".join(b"%d" % value for value in (*milliseconds, EARLY_EVIDENCE))
