"""Evidence about calls whose dial has not returned, so that nobody knows yet whose they are."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

__all__ = ["EARLY_EVIDENCE", "EARLY_EVIDENCE_SECONDS", "Early", "EarlyEvidence"]

EARLY_EVIDENCE: Final = 10_000
"""Calls for which evidence is remembered that came before the dial returned.

This is one second of the heaviest storm of deliveries that is planned for. Forgetting a call only
costs its evidence.
"""

EARLY_EVIDENCE_SECONDS: Final = 300.0
"""How long such evidence is remembered: longer than a dial takes (120 s at most, SDK 6.2.13)."""


class Early(NamedTuple):
    """Evidence about a call whose dial has not returned: when it was answered, or was over."""

    known_at: float
    ended: bool


class EarlyEvidence:
    """Remembers evidence by the provider's id of the call, until its dial returns."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        # The oldest first.
        self._found: OrderedDict[str, Early] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def pop(self, call_id: str, now: float) -> Early | None:
        """Return the evidence about a call, and forget it; None if there is none."""
        early = self._found.pop(call_id, None)
        return None if early is None or _is_old(early, now) else early

    def remember(self, call_id: str, now: float, *, ended: bool) -> None:
        """Remember that a call was answered at `now` or before, or that it is over, which stays."""
        found = self._found
        while found and _is_old(found[next(iter(found))], now):
            found.popitem(last=False)
        early = found.get(call_id)
        if early is None or (ended and not early.ended):
            found[call_id] = Early(now, ended)
            found.move_to_end(call_id)
        if len(found) > EARLY_EVIDENCE:
            found.popitem(last=False)


def _is_old(early: Early, now: float) -> bool:
    return now >= early.known_at + EARLY_EVIDENCE_SECONDS
