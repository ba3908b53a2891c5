"""The known bounds of the life of one of the gate's own calls, as moments on our clock.

Each moment has two bounds, since evidence comes late: it was no later than one of them, and surely
not before the other. Evidence is taken to be no later than `PATIENCE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["PATIENCE", "Life"]

PATIENCE: Final = 5.0
"""Seconds by which evidence about a call is late, at most. Webhooks mostly come within one, and
answers to questions within the time between two readings. Our own choice."""


@dataclass(slots=True, eq=False)
class Life:
    """The known bounds of an own call's life, in seconds on our clock.

    Attributes:
        granted_after: the call was granted after then; minus infinity if unknown.
        placed: the call was placed by then; infinity if that isn't known.
        not_answered_before: the call was surely not answered before then; infinity if unknown.
        answered: the call was answered by then; infinity if unknown.
        not_over_before: the call was surely not over before then; infinity if unknown.
        over: the call was over by then; infinity if unknown.
    """

    granted_after: float = -math.inf
    placed: float = math.inf
    not_answered_before: float = math.inf
    answered: float = math.inf
    not_over_before: float = math.inf
    over: float = math.inf

    def note_answered(self, now: float, before: float = -math.inf) -> None:
        """Note evidence, at `now`, of the answer, which surely was not before `before`."""
        if self.answered == math.inf:
            self.answered = now
            self.not_answered_before = max(self.granted_after, now - PATIENCE, before)

    def note_over(self, now: float, before: float = -math.inf) -> None:
        """Note evidence, at `now`, of the end, which surely was not before `before`."""
        if self.over == math.inf:
            self.over = now
            self.not_over_before = max(self.granted_after, now - PATIENCE, before)
