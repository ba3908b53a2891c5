"""How long things last in a shared ledger."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.ledger.times import Times

__all__ = ["Settings"]


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
