"""The gate: waiters, order, wake-ups, lifetime."""
