"""The rule of a trunk's rate: when its next call may start.

The laws that this file holds:

- No more than `Trunk.most` calls start in any `Trunk.span` seconds; with evenly spaced starts that
  is one. Unused starts are not saved up: even after idling, a trunk starts no more than that.
- A start is charged when it is granted. It is given back only if nobody dialled; then it counts as
  never made, and later starts keep their moments.
- After a refusal the next start is delayed, twice as long after each further refusal in a row,
  until a dial succeeds.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from callguard.backoff import backoff
from callguard.trunks import Trunk

__all__ = ["LONGEST_PUSH_BACK", "Pace"]

LONGEST_PUSH_BACK: Final = 30.0
"""Seconds from a refusal to the trunk's next start at most, unless its starts are further apart, so
that a trunk whose rate was set too high still dials. Our own choice."""


class Pace:
    """The starts of one trunk that has a rate.

    Args:
        trunk: the trunk.

    Attributes:
        due_at: the earliest moment for the next start, in seconds on the clock of the `now`
            arguments.
    """

    __slots__ = (
        "_apart",
        "_latest",
        "_moments",
        "_most",
        "_not_before",
        "_redeemed",
        "_refusals",
        "_span",
        "_started",
        "_tries",
        "due_at",
    )

    def __init__(self, trunk: Trunk) -> None:
        self.due_at = -math.inf
        self._most = trunk.most
        self._span = trunk.span
        self._apart = trunk.span / trunk.most
        # The permit of the latest start. If several calls may start in a span, also that many of
        # the latest starts, oldest first: their permits, and their moments. Numbers only, so that
        # the garbage collector has nothing to walk through, however many there are.
        self._latest = 0
        self._started: deque[int] = deque(maxlen=trunk.most)
        self._moments: deque[float] = deque(maxlen=trunk.most)
        self._not_before = -math.inf
        # The refusals in a row; the permits that started since the first of them; and the permit
        # whose dial ended a row, with that row's length, in case its call is refused after all.
        self._refusals = 0
        self._tries: set[int] = set()
        self._redeemed = (0, 0)

    @property
    def pushed_back(self) -> bool:
        """Whether a refusal has delayed the next start, and no dial has succeeded since."""
        return self._refusals > 0

    def start(self, number: int, now: float) -> None:
        """Charge a start to the permit `number`; the trunk must be due."""
        if self._most == 1:
            self._latest = number
            self.due_at = now + self._span
        else:
            self._started.append(number)
            self._moments.append(now)
            if len(self._moments) == self._most:
                self.due_at = self._moments[0] + self._span
        if self._refusals:
            self._tries.add(number)

    def give_back(self, number: int) -> bool:
        """Take back the start of a permit with which nobody dialled; return whether it was found.

        A start that is no longer remembered delays no other, so there is nothing to take back. With
        evenly spaced starts only the latest is remembered.
        """
        self._tries.discard(number)
        if not self._forget(number):
            return False
        self.due_at = self._not_before
        return True

    def restart(self, number: int, now: float) -> None:
        """Somebody has dialled with a permit after all: its start is charged, if it was given back.

        It may be closer to others than the rate allows; the next one is not.
        """
        charged = (self._latest,) if self._most == 1 else self._started
        if number not in charged:
            due_at = self.due_at
            self.start(number, now)
            self.due_at = max(due_at, self.due_at)

    def _forget(self, number: int) -> bool:
        if self._most == 1:
            was_latest = number == self._latest
            self._latest = 0 if was_latest else self._latest
            return was_latest
        started = self._started
        for i in range(len(started) - 1, -1, -1):
            if started[i] == number:
                del started[i], self._moments[i]
                return True
        return False

    def push_back(self, number: int, now: float) -> None:
        """Delay the next start, because the provider refused the dial of the permit `number`.

        Of dials in flight at the same time, only the first refusal counts.
        """
        if self._refusals and number not in self._tries:
            return
        if number == self._redeemed[0]:
            _, self._refusals = self._redeemed
        self._tries.clear()
        self._refusals += 1
        self._not_before = now + backoff(self._apart, self._refusals, LONGEST_PUSH_BACK)
        self.due_at = max(self.due_at, self._not_before)

    def succeed(self, number: int) -> None:
        """Note that the dial of `number` was not refused; if it followed a refusal, delays end."""
        if number in self._tries:
            self._tries.clear()
            self._redeemed = number, self._refusals
            self._refusals = 0

    def note_sleep(self, slept: float) -> None:
        """Date everything back by `slept` seconds for which the clock stood still."""
        self._moments = deque((at - slept for at in self._moments), maxlen=self._most)
        self._not_before -= slept
        self.due_at -= slept
