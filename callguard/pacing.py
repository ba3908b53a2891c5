"""When a trunk may start its next call: the rule of its rate, written once.

The laws that this file holds:

- No more than `Trunk.most` calls start in any `Trunk.span` seconds; with evenly spaced starts that
  is one. What isn't used is not saved up: a trunk that was idle starts no more than that.
- A start is charged when it is granted. It is given back only where nobody dialled; then it never
  was, and what has started since stands as it is.
- After a refusal the next start waits, twice as long after each in a row, until a dial succeeds.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from callguard.pauses import pause
from callguard.trunks import Trunk

__all__ = ["LONGEST_PAUSE", "Pace"]

LONGEST_PAUSE: Final = 30.0
"""Seconds from a refusal to the trunk's next start at most, unless its starts are further apart: so
a rate that was set too high still dials. Our own choice."""


class Pace:
    """The starts of one trunk that has a rate.

    Args:
        trunk: whose starts.

    Attributes:
        due_at: from when on the next call may start, in seconds on the clock of those who ask.
    """

    __slots__ = (
        "_apart",
        "_latest",
        "_most",
        "_not_before",
        "_redeemed",
        "_refusals",
        "_span",
        "_starts",
        "_tries",
        "due_at",
    )

    def __init__(self, trunk: Trunk) -> None:
        self.due_at = -math.inf
        self._most = trunk.most
        self._span = trunk.span
        self._apart = trunk.span / trunk.most
        # What the rate goes by: the permit of the latest start; where more than one may start in
        # a span, as many of the latest, the oldest first, each with the moment of its start.
        self._latest = 0
        self._starts: deque[tuple[int, float]] | None = None
        if trunk.most > 1:
            self._starts = deque(maxlen=trunk.most)
        self._not_before = -math.inf
        # Refusals in a row; the permits that have started since the first; and the one whose dial
        # put an end to how many, for a call that is refused after its dial has returned.
        self._refusals = 0
        self._tries: set[int] = set()
        self._redeemed = (0, 0)

    @property
    def pushed_back(self) -> bool:
        """Whether a refusal was the last that was heard of a dial."""
        return self._refusals > 0

    def start(self, number: int, now: float) -> None:
        """Charge a start to the permit `number`; only where one is due."""
        starts = self._starts
        if starts is None:
            self._latest = number
            self.due_at = now + self._span
        else:
            starts.append((number, now))
            if len(starts) == self._most:
                self.due_at = starts[0][1] + self._span
        if self._refusals:
            self._tries.add(number)

    def give_back(self, number: int) -> bool:
        """Take back the start of a permit with which nobody dialled; whether it was this trunk's.

        One that has left the span since is forgotten, and stands in nobody's way. With evenly
        spaced starts that is every one but the latest.
        """
        self._tries.discard(number)
        if not self._forget(number):
            return False
        self.due_at = self._not_before
        return True

    def _forget(self, number: int) -> bool:
        starts = self._starts
        if starts is None:
            return number == self._latest
        for i in range(len(starts) - 1, -1, -1):
            if starts[i][0] == number:
                del starts[i]
                return True
        return False

    def push_back(self, number: int, now: float) -> None:
        """The provider refused the dial of the permit `number`.

        Of dials that were under way together, the first refusal counts.
        """
        if self._refusals and number not in self._tries:
            return
        if number == self._redeemed[0]:
            _, self._refusals = self._redeemed
        self._tries.clear()
        self._refusals += 1
        self._not_before = now + pause(self._apart, self._refusals, LONGEST_PAUSE)
        self.due_at = max(self.due_at, self._not_before)

    def succeed(self, number: int) -> None:
        """The dial of the permit `number` was not refused: the pauses are over if it came later."""
        if number in self._tries:
            self._tries.clear()
            self._redeemed = number, self._refusals
            self._refusals = 0

    def note_sleep(self, slept: float) -> None:
        """The clock stood still for `slept` seconds, so all that was before is longer ago."""
        if self._starts is not None:
            aged = [(number, at - slept) for number, at in self._starts]
            self._starts = deque(aged, maxlen=self._most)
        self._not_before -= slept
        self.due_at -= slept
