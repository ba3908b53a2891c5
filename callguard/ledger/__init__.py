"""Ledgers: the books of who holds a place."""

from callguard.ledger.memory import MemoryLedger
from callguard.ledger.protocol import Claim, Dispatcher, Ledger
from callguard.ledger.redis import RedisLedger, workspace_hash
from callguard.ledger.times import Times

__all__ = [
    "Claim",
    "Dispatcher",
    "Ledger",
    "MemoryLedger",
    "RedisLedger",
    "Times",
    "workspace_hash",
]
