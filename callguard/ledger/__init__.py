"""Ledgers: the books of who holds a place."""

from callguard.ledger.memory import MemoryLedger

__all__ = ["MemoryLedger"]
