"""Ledgers, which record who holds a slot."""

from typing import TYPE_CHECKING

from callguard.ledger.memory import MemoryLedger
from callguard.ledger.protocol import (
    Claim,
    Claimant,
    DatedPause,
    Ledger,
    PlacedState,
    Reader,
    Readings,
    Right,
)
from callguard.ledger.redis.keys import workspace_hash
from callguard.ledger.times import Times

if TYPE_CHECKING:
    from callguard.ledger.redis.ledger import RedisLedger

__all__ = [
    "Claim",
    "Claimant",
    "DatedPause",
    "Ledger",
    "MemoryLedger",
    "PlacedState",
    "Reader",
    "Readings",
    "RedisLedger",
    "Right",
    "Times",
    "workspace_hash",
]


def __getattr__(name: str) -> object:
    """Import the shared ledger when it is first used, since most programs are one process."""
    if name == "RedisLedger":
        from callguard.ledger.redis.ledger import RedisLedger

        return RedisLedger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
