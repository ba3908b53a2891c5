"""The durations of a shared ledger."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.ledger.times import Times

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds.

    Attributes:
        times: the durations that every ledger uses.
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
        """Seconds between two renewals of the lease, of which four may fail before it expires."""
        return self.lease / 5
