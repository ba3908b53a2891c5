"""The settings of a shared ledger: how long things last, and how much is done at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callguard.ledger.times import Times

__all__ = ["AT_ONCE", "Settings"]

AT_ONCE: Final = 100
"""Permits to which something happens in one exchange. If the calls are on trunks that take only so
many, placing a hundred takes the server 2 to 3 ms (measured), in which it serves nobody else."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations in seconds, and a number of permits.

    Attributes:
        times: the durations that every ledger uses.
        lease: a worker's silence after which the calls that it was dialling count as placed.
        grace: how long a new ledger admits nobody, so that a worker that knew another can object.
        timeout: how long one exchange may take.
        at_once: the most permits that one exchange grants, absorbs or takes for placed, the most
            slots that it sets aside, unless more claims have a turn, and the most happenings that
            it reports; the rest comes in the next exchanges.
        inbound_apart: whether inbound calls are counted apart.
        ends_free: whether calls that are known to be over free their slots at once.
    """

    times: Times
    lease: float
    grace: float
    timeout: float
    at_once: int = AT_ONCE
    inbound_apart: bool = False
    ends_free: bool = False

    @property
    def heartbeat(self) -> float:
        """Seconds between two renewals of the lease, of which four may fail before it expires."""
        return self.lease / 5
