"""Ledgers: who holds a slot."""

from callguard.ledger.memory import MemoryLedger
from callguard.ledger.protocol import Claim, Claimant, Ledger
from callguard.ledger.redis import RedisLedger, workspace_hash
from callguard.ledger.times import Times

__all__ = [
    "Claim",
    "Claimant",
    "Ledger",
    "MemoryLedger",
    "RedisLedger",
    "Times",
    "workspace_hash",
]
