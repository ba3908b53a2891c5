"""The source of a gate's snapshots, a protocol that users may implement."""

from __future__ import annotations

from typing import Protocol

from callguard.limits import Snapshot

__all__ = ["LimitSource"]


class LimitSource(Protocol):
    """Reads the limits of one workspace; see `open_gate(source=...)`.

    `LimitFetcher` is the source for Retell AI. Any other source implements this one method. Its
    errors tell the gate what to do: `LimitsUnavailable` is an outage, and the gate tries again, not
    before `retry_after`. `LimitsRejected` with a status of 401 means that the key was refused; if
    it is raised again, every wait ends with it. Any other exception is logged, and is an outage.
    """

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """Take a snapshot, or return one that is young enough. This may be cancelled at any moment.

        Args:
            newer_than: a moment, in seconds on the event loop's clock, after which the snapshot's
                request must have begun. With None the source decides how young is enough.

        Returns:
            A snapshot, dated on the event loop's clock. Its count must not be later than the gate's
            `counter_lag`. An unknown count must be an error, never 0.
        """
        ...
