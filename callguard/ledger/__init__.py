"""The ledgers: who holds a place."""
