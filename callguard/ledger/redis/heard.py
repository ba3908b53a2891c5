"""When one worker heard of the latest snapshots on a shared ledger.

A snapshot was received before any worker heard of it. So a call that surely ended after this worker
heard of a snapshot ended after that snapshot was received, and so after all those before it. The
worker tells the server which snapshot that was, since moments of two workers' clocks are never
compared.
"""

from __future__ import annotations

from collections import deque

from callguard.in_hand import MOST

__all__ = ["HeardSnapshots"]


class HeardSnapshots:
    """The latest snapshots that this worker heard of."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        # When each began, in ms on the ledger's clock, and when it was heard of, in seconds on the
        # event loop's clock; the oldest first.
        self._heard: deque[tuple[int, float]] = deque(maxlen=MOST)

    def add(self, began: int, now: float) -> None:
        """Note a snapshot that began later than all before; `now` is the present moment."""
        self._heard.append((began, now))

    def before(self, moment: float) -> int:
        """When the latest snapshot began that was heard of before a moment, in ms; 0 for none."""
        return next((began for began, heard in reversed(self._heard) if heard < moment), 0)

    def forget(self) -> None:
        """Forget all, because the ledger is another one, or the event loop's clock stood still."""
        self._heard.clear()
