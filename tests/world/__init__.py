"""A world from one seed: production code, virtual time, faults of every kind, and checkers."""
