"""Whether evidence comes unasked, by webhooks or reports, so that asking may be rare. No I/O.

The laws that this file holds:

- Each piece of evidence about a call that was in question counts one point if it comes unasked.
- If an answer has it first, and it does not come unasked within `PATIENCE` either, it was missed,
  and that costs `MISSED` points.
- Every `TREND` points make questions half as frequent, down to one in `RAREST`.

A gate on a shared ledger hears only of the evidence that comes to itself. If evidence about its own
calls came to another gate, and it had to ask for that, this counts as missed.

So where webhooks bring everything, one question in eight is asked. Where they stop, the next answer
has what they would have brought, and `PATIENCE` later, questions are as frequent as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from cachetools import FIFOCache

from callguard.premises.lives import PATIENCE

__all__ = ["RAREST", "News", "Unasked"]

News = Literal["answered", "ended"]
"""What evidence says of a call."""

TREND: Final = 10
"""Points for which questions become half as frequent. Our own choice."""

MISSED: Final = 10
"""Points that a missed piece of evidence costs: where more than one in eleven is missed, questions
don't become less frequent. Our own choice."""

RAREST: Final = 8
"""At least one question in so many is asked. What was missed is then known after 8 s, which is a
quarter of the time for which an uncounted call is in the way by default."""

MOST: Final = 10_000
"""How many calls, and how many pieces of evidence, are remembered: more than a workspace has going
at once. Forgetting the oldest one only makes a question come sooner, or later."""


class Unasked:
    """How much evidence comes unasked. Moments are in seconds on the event loop's clock."""

    __slots__ = ("_asked", "_came", "_found", "_score")

    def __init__(self) -> None:
        self._asked: FIFOCache[str, None] = FIFOCache(MOST)
        self._came: FIFOCache[tuple[str, News], None] = FIFOCache(MOST)
        # What answers had first, and when.
        self._found: dict[tuple[str, News], float] = {}
        self._score = 0

    def in_question(self, call_ids: Iterable[str]) -> None:
        """Note which calls are in question: evidence about others' calls says nothing."""
        for call_id in call_ids:
            if call_id not in self._asked:
                self._asked[call_id] = None

    def came(self, call_id: str, news: News) -> None:
        """Note that a piece of evidence came unasked."""
        piece = call_id, news
        if piece not in self._came:
            self._came[piece] = None
            self._found.pop(piece, None)
            if call_id in self._asked:
                self._score = min(self._score + 1, TREND * (RAREST.bit_length() - 1))

    def found(self, call_id: str, news: News, now: float) -> None:
        """Note that an answer has a piece of evidence at `now`; it may have come unasked before."""
        piece = call_id, news
        if piece not in self._came:
            self._found.setdefault(piece, now)

    def rarer(self, now: float) -> int:
        """Return by what factor questions may be rarer than otherwise, at `now`."""
        missed = [piece for piece, at in self._found.items() if at + PATIENCE <= now]
        for piece in missed:
            del self._found[piece]
        self._score = max(0, self._score - MISSED * len(missed))
        return 1 << self._score // TREND
