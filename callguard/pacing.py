"""The rule of a trunk's rate: when its next call may start.

The laws that this file holds:

- No more than `Trunk.most` calls start in any `Trunk.span` seconds. Unused starts are not saved up:
  even after idling, a trunk starts no more than that.
- With evenly spaced starts that is one. Timers are late by a little, and the lateness must not add
  up. So a start counts from when it was due, if it comes no later than `late_by` after that; else
  from when it comes. Then two starts are never closer than ``span - late_by``, and n gaps in a row
  never take less than ``n * span - late_by``, since of an earlier lateness nothing is left.
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

__all__ = ["LATE_BY", "LATE_PART", "LONGEST_PUSH_BACK", "Pace", "paced"]

LATE_PART: Final = 0.02
"""The part of a span by which a start may be late and still count from when it was due, at most. So
of the 5 % of slack more than half is left. Our own choice."""

LATE_BY: Final = 0.005
"""Seconds of the same, at most: as late as a timer is, or an exchange with a server, where the
machine is not overloaded (1 to 3 ms, measured). So slow trunks keep nearly all their slack."""

LONGEST_PUSH_BACK: Final = 30.0
"""Seconds from a refusal to the trunk's next start at most, unless its starts are further apart, so
that a trunk whose rate was set too high still dials. Our own choice."""


class Pace:
    """The starts of one trunk that has a rate, evenly spaced.

    Args:
        trunk: the trunk.

    Attributes:
        due_at: the earliest moment for the next start, in seconds on the clock of the `now`
            arguments.
    """

    __slots__ = (
        "_apart",
        "_due_before",
        "_late_by",
        "_latest",
        "_not_before",
        "_previous",
        "_redeemed",
        "_refusals",
        "_span",
        "_tries",
        "due_at",
    )

    def __init__(self, trunk: Trunk) -> None:
        self.due_at = -math.inf
        self._span = trunk.span
        self._apart = trunk.span / trunk.most
        self._late_by = min(LATE_PART * trunk.span, LATE_BY)
        # The permits of the latest start and of the one before, and when the latest was due.
        self._latest = self._previous = 0
        self._due_before = -math.inf
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

    def due_after(self, starts: int, now: float) -> float:
        """When the next start is due if so many others come first, each as soon as it may."""
        return max(self.due_at, now) + starts * self._span

    def start(self, number: int, now: float) -> None:
        """Charge a start to the permit `number`; the trunk must be due."""
        due_at = self._due_before = self.due_at
        self._previous = self._latest
        self._latest = number
        at = due_at if 0.0 <= now - due_at <= self._late_by else now
        self.due_at = at + self._span
        if self._refusals:
            self._tries.add(number)

    def give_back(self, number: int) -> bool:
        """Take back the start of a permit with which nobody dialled; return whether it was found.

        A start that is no longer remembered delays no other, so there is nothing to take back. With
        evenly spaced starts the latest two are remembered, of which the latest delays the next.
        """
        if self._refusals:
            self._tries.discard(number)
        if number == self._latest:
            self._latest = self._previous
            self.due_at = max(self._due_before, self._not_before)
        elif number != self._previous:
            return False
        self._previous = 0
        self._due_before = -math.inf
        return True

    def restart(self, number: int, now: float) -> None:
        """Somebody has dialled with a permit after all: its start is charged, if it was given back.

        It may be closer to others than the rate allows; the next one is not.
        """
        if not self._remembers(number):
            due_at, self.due_at = self.due_at, -math.inf  # it counts from now
            self.start(number, now)
            self.due_at = max(due_at, self.due_at)

    def _remembers(self, number: int) -> bool:
        return number in (self._latest, self._previous)

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
        self._due_before -= slept
        self._not_before -= slept
        self.due_at -= slept


class _Window(Pace):
    """The starts of a trunk on which several may start in a span."""

    __slots__ = ("_moments", "_most", "_started")

    def __init__(self, trunk: Trunk) -> None:
        super().__init__(trunk)
        self._most = trunk.most
        # That many of the latest starts, oldest first: their permits, and their moments. Numbers
        # only, so that the garbage collector has nothing to walk through, however many there are.
        self._started: deque[int] = deque(maxlen=trunk.most)
        self._moments: deque[float] = deque(maxlen=trunk.most)

    def due_after(self, starts: int, now: float) -> float:
        # Each start takes the place of the one that was so many before it.
        rounds, nth = divmod(starts, self._most)
        nth -= self._most - len(self._moments)
        leaves_at = self._moments[nth] + self._span if nth >= 0 else -math.inf
        return max(leaves_at, self.due_at, now) + rounds * self._span

    def start(self, number: int, now: float) -> None:
        moments = self._moments
        moments.append(now)
        self._started.append(number)
        if len(moments) == self._most:
            self.due_at = moments[0] + self._span
        if self._refusals:
            self._tries.add(number)

    def give_back(self, number: int) -> bool:
        if self._refusals:
            self._tries.discard(number)
        started, moments = self._started, self._moments
        if started and started[-1] == number:
            started.pop()
            moments.pop()
        elif number in started:
            at = started.index(number)
            del started[at], moments[at]
        else:
            return False
        self.due_at = self._not_before
        return True

    def _remembers(self, number: int) -> bool:
        return number in self._started

    def note_sleep(self, slept: float) -> None:
        super().note_sleep(slept)
        self._moments = deque((at - slept for at in self._moments), maxlen=self._most)


def paced(trunk: Trunk) -> Pace:
    """The starts of a trunk by its rate."""
    return Pace(trunk) if trunk.most == 1 else _Window(trunk)
