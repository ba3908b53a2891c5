"""Where a gate's snapshots come from: the protocol that a user may fill."""

from __future__ import annotations

from typing import Protocol

from callguard.limits import Snapshot

__all__ = ["LimitSource"]


class LimitSource(Protocol):
    """Reads the limits of one workspace; see `open_gate(source=...)`.

    `LimitFetcher` is the one for Retell AI. Any other has the one method; its errors say what is
    wrong. `LimitsUnavailable` is an outage: the gate tries again, not before `retry_after`.
    `LimitsRejected` with a status of 401 is a refused key, which ends everybody's wait once it is
    repeated. Whatever else is raised is logged, and is an outage.
    """

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """Take a snapshot, or give one that is young enough. It may be cancelled at any moment.

        Args:
            newer_than: seconds on the event loop's clock: the request of the snapshot began later.
                None for one that is as young as the source likes.

        Returns:
            A snapshot, dated on the event loop's clock. One whose count may be late by more than
            the gate's `counter_lag` is a broken promise; an unknown count is an error, never 0.
        """
        ...
