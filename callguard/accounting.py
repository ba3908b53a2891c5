"""Which calls are the ledger's own, and which are others'. No I/O, and no clock.

The laws that this file holds:

- ``usage = own + others``. *Own* are the most calls of this ledger that can be going on: dialling,
  and placed ones that are not known to be over. *Others* is what a snapshot counts beyond the own
  calls that it surely counts. So a call moves from own to others when it is known to be over, and
  the usage stays what it was: the snapshot's count, dialling and uncounted.
- Of the own calls that a snapshot surely counts, no more can be going on than it counts. So calls
  whose end is never reported don't add up: with each snapshot they are at most its count.
- A call is forgotten when it has lasted as long as a call can.
- Where ends free at once, the snapshots in hand say how many calls are others'; `in_hand` has that
  rule. Each call that is counted no more is reported there, so the two can't disagree.
- What the very first snapshot counts may be calls that were dialled before this ledger began. Where
  own calls must not be fewer than go on, they are own calls as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import islice, takewhile
from typing import Final

from callguard.in_hand import InHand
from callguard.trunks import Trunk

__all__ = ["LONGEST_CALL", "Counted", "longest_of"]

LONGEST_CALL: Final = 7200.0
"""Seconds that a call lasts at most, not counting the ringing: Retell AI's highest
`max_call_duration_ms` (SDK 6.2.13)."""


def longest_of(trunks: Iterable[Trunk]) -> float:
    """Seconds that a call on one of these trunks lasts at most, not counting the ringing."""
    return max([LONGEST_CALL, *(trunk.longest_call for trunk in trunks)])


class Counted:
    """The own calls that the snapshot in hand surely counts, and that are not known to be over.

    Args:
        lasts: seconds for which a call may go on once a snapshot has counted it.
        exact: whether `most` must not be below the truth, since calls are admitted by it. If not,
            and no end was ever reported, no more calls are kept than the snapshot counts: they are
            for people to see, and need not cost memory for hours.
        in_hand: the snapshots in hand, where ends free at once; else None.

    Attributes:
        most: how many of them can be going on.
        hears_of_ends: whether the end of any call was ever reported.
    """

    __slots__ = (
        "_before",
        "_before_until",
        "_counted_at",
        "_exact",
        "_in_hand",
        "_lasts",
        "hears_of_ends",
        "most",
    )

    def __init__(self, lasts: float, *, exact: bool = False, in_hand: InHand | None = None) -> None:
        self.most = 0
        self.hears_of_ends = False
        self._lasts = lasts
        self._exact = exact
        self._in_hand = in_hand
        # Calls from before this ledger that can be going on, and until when; None before the first
        # snapshot.
        self._before: int | None = None if exact else 0
        self._before_until = 0.0
        # By permit, in this order, when the first snapshot began that surely counts its call.
        self._counted_at: dict[int, float] = {}

    def __len__(self) -> int:
        """How many calls are not known to be over, even if the snapshot counts fewer."""
        return len(self._counted_at)

    @property
    def known(self) -> int | None:
        """As `most`, but None until the end of a call was reported, unless it is exact."""
        return self.most if self.hears_of_ends or self._exact else None

    @property
    def numbers(self) -> Collection[int]:
        """The permits of these calls, the oldest first."""
        return self._counted_at.keys()

    def add(self, numbers: Sequence[int], began: float) -> None:
        """Record that a snapshot that began at `began` surely counts the calls of these permits."""
        self._counted_at.update(dict.fromkeys(numbers, began))
        self.most += len(numbers)

    def end(self, number: int, ended_after: float = -math.inf) -> bool:
        """Record that a permit's call is over, or never was; return whether it was one of these.

        It surely ended after `ended_after`; minus infinity if that is unknown.
        """
        if number not in self._counted_at:
            return False
        self.hears_of_ends = True
        self._forget(number, ended_after)
        self._look()
        return True

    def give_up_in_hand(self) -> None:
        """Let no end free a slot at once any more."""
        self._in_hand = None

    def recorded(self, count: int, began: float) -> list[int]:
        """Record a snapshot that began at `began` and counts `count` calls.

        Those that it surely counts have been added. Returns the permits whose calls are forgotten.
        """
        if self._before is None:
            self._before, self._before_until = count, began + self._lasts
            self.most += count
        self._before = min(self._before, count) if began <= self._before_until else 0
        self.most = min(self.most, count)
        counted_at = self._counted_at
        ended_before = began - self._lasts
        over = [*takewhile(lambda number: counted_at[number] < ended_before, counted_at)]
        if not (self._exact or self.hears_of_ends or self._in_hand):
            over = [*islice(counted_at, max(len(over), len(counted_at) - count))]
        for number in over:
            self._forget(number)
        self._look()
        return over

    def _look(self) -> None:
        """Keep `most` within the number of calls that are not known to be over."""
        self.most = min(self.most, (self._before or 0) + len(self._counted_at))

    def _forget(self, number: int, ended_after: float = -math.inf) -> None:
        del self._counted_at[number]
        if self._in_hand is not None:
            self._in_hand.end(ended_after)
