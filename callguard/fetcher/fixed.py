"""`FixedLimit`: a known limit, for a provider that has no counter."""

from __future__ import annotations

import asyncio

from callguard.arguments import checked_seconds, checked_whole
from callguard.fetcher.later import later_than
from callguard.limits import Limits, Snapshot

__all__ = ["FixedLimit"]


class FixedLimit:
    """A source with a fixed limit, for a provider that doesn't report how many calls are live.

    Pass it to `open_gate(source=...)`. Each placed call holds its slot until it is known to be over
    (`permit.ended()`, `gate.note_ended`), or for `longest_call`. Calls by others are not seen, so
    every call has to go through gates on one ledger. After a shared ledger was lost, nobody is
    admitted for `longest_call`.

    Args:
        limit: calls that may be live at once.
        longest_call: seconds that a call lasts at most, from the return of its dial. The default is
            that of Retell AI (`max_call_duration_ms`).

    Raises:
        TypeError: `limit` is not a whole number, or `longest_call` is not a number.
        ValueError: `limit` is below 0, or `longest_call` is not above 0 s and finite.
    """

    def __init__(self, limit: int, *, longest_call: float = 3600.0) -> None:
        limit = checked_whole("limit", limit, least=0)
        self.longest_call = checked_seconds("longest_call", longest_call, above_zero=True)
        self._limits = Limits(current_concurrency=0, concurrency_limit=limit)

    def __repr__(self) -> str:
        limit = self._limits.concurrency_limit
        return f"FixedLimit({limit!r}, longest_call={self.longest_call!r})"

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """Return a snapshot that counts 0 calls, since the gate itself counts its own."""
        loop = asyncio.get_running_loop()
        if newer_than is not None and loop.time() <= newer_than:
            await later_than(newer_than)
        return Snapshot(self._limits, loop.time(), loop.time())
