"""What is known of an own call's life, as moments on our clock.

Of each of its moments there are two bounds, since news comes late: it was there `by` one, and
surely not yet `before` the other. News is taken to be no later than `PATIENCE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["PATIENCE", "Life"]

PATIENCE: Final = 5.0
"""Seconds by which news of a call is late, at most. Webhooks mostly come within one, and answers to
questions within the time between two readings. Our own choice."""


@dataclass(slots=True, eq=False)
class Life:
    """The known bounds of an own call's life, in seconds on our clock.

    Attributes:
        granted_after: the call was granted after then; minus infinity if unknown.
        placed: the call was placed by then; infinity if that isn't known.
        not_answered_before: the call was surely not answered before then; infinity without news.
        answered: the call was answered by then; infinity without news.
        not_over_before: the call was surely not over before then; infinity without news.
        over: the call was over by then; infinity without news.
    """

    granted_after: float = -math.inf
    placed: float = math.inf
    not_answered_before: float = math.inf
    answered: float = math.inf
    not_over_before: float = math.inf
    over: float = math.inf

    def note_answered(self, now: float, before: float = -math.inf) -> None:
        """Note the news, at `now`, of the answer, which surely was not before `before`."""
        if self.answered == math.inf:
            self.answered = now
            self.not_answered_before = max(self.granted_after, now - PATIENCE, before)

    def note_over(self, now: float, before: float = -math.inf) -> None:
        """Note the news, at `now`, of the end, which surely was not before `before`."""
        if self.over == math.inf:
            self.over = now
            self.not_over_before = max(self.granted_after, now - PATIENCE, before)
