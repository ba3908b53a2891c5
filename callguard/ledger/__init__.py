"""Ledgers: who holds a slot."""

from callguard.ledger.memory import MemoryLedger
from callguard.ledger.protocol import Claim, Claimant, Ledger, Reader, Readings, Right
from callguard.ledger.redis import RedisLedger, workspace_hash
from callguard.ledger.times import Times

__all__ = [
    "Claim",
    "Claimant",
    "Ledger",
    "MemoryLedger",
    "Reader",
    "Readings",
    "RedisLedger",
    "Right",
    "Times",
    "workspace_hash",
]
