"""`FixedLimit`: a limit that somebody knows, in the place of a counter that nobody has."""

from __future__ import annotations

import asyncio

from callguard.arguments import checked_seconds, checked_whole
from callguard.fetcher.later import later_than
from callguard.limits import Limits, Snapshot

__all__ = ["FixedLimit"]


class FixedLimit:
    """So many calls at once, for a provider that doesn't tell how many are going on.

    Give it to `open_gate(source=...)`. Each placed call holds its slot until it is known to be over
    (`permit.ended()`, `gate.note_ended`), or for `longest_call`. What others dial is not seen, so
    every call has to go through gates on one ledger. A shared ledger that was lost admits nobody
    for `longest_call`.

    Args:
        limit: calls that may be going on at once.
        longest_call: seconds that a call lasts at most, from the return of its dial. The default is
            that of Retell AI (`max_call_duration_ms`).

    Raises:
        TypeError: a limit that is not a whole number, or a time that is none.
        ValueError: a limit below 0, or a time that is not above 0 s and finite.
    """

    def __init__(self, limit: int, *, longest_call: float = 3600.0) -> None:
        limit = checked_whole("limit", limit, least=0)
        self.longest_call = checked_seconds("longest_call", longest_call, above_zero=True)
        self._limits = Limits(current_concurrency=0, concurrency_limit=limit)

    def __repr__(self) -> str:
        limit = self._limits.concurrency_limit
        return f"FixedLimit({limit!r}, longest_call={self.longest_call!r})"

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """A snapshot of no call at all: what is known of calls, the gate knows."""
        loop = asyncio.get_running_loop()
        if newer_than is not None and loop.time() <= newer_than:
            await later_than(newer_than)
        return Snapshot(self._limits, loop.time(), loop.time())
