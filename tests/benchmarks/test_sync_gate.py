"""The benchmark of the gate for threads, at a size that shows only that it works."""

from __future__ import annotations

from tests.benchmarks.sync_gate import OURS, SEMAPHORE, compare


def test_the_gate_for_threads_is_compared() -> None:
    """The table would lack a row, or a thread would hang in it."""
    rows = compare(rounds=2, admissions=60, threads=(1, 10))
    assert [(row["threads"], row["slots"]) for row in rows] == [
        ("1", "8"),
        ("10", "8"),
        ("10", "40"),
    ]
    assert all(row[OURS] and row[SEMAPHORE] for row in rows)
