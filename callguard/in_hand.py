"""How many calls the snapshots in hand leave to others, where ends free at once. No I/O, no clock.

The laws that this file holds:

- *Own* are here all calls of the ledger that are dialling, uncounted, or surely counted and not
  known to be over. No sum is cut off at 0: a call whose end nobody reports is one own call too many
  and one call by others too few, so it holds no slot.
- *In hand* are the latest snapshot, and those received up to `WINDOW` before it.
- A snapshot *leaves* to others what it counts beyond the own calls that were surely counted when it
  came. When one of these is known to be over, each snapshot in hand leaves one more, unless the
  call surely ended after that snapshot was received: a counter drops no call before its end, so
  the snapshot counts this one. A snapshot that never counted the call leaves one more as well,
  which is safe.
- A snapshot *proves* that others have what it counts beyond every own call that it may count: those
  that are own when it comes, and those that left own no earlier than `counter_lag` before it began.
- Of what the snapshots in hand leave, the least holds. But none leaves less than a later one
  proves, so calls by others that are proven are not overlooked because of an earlier snapshot.

ledger/redis/lua/in_hand.lua has the same rule for gates that share a ledger.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["MOST", "WINDOW", "InHand"]

WINDOW: Final = 5.0
"""Seconds for which a snapshot stays in hand beside later ones. In simulated campaigns, windows of
5 to 8 s used the same share of the limit, and a shorter one overlooks calls by others for less
time."""

MOST: Final = 32
"""The most snapshots in hand: half as many again as come in `WINDOW` at the default
`min_interval`. Dropping the oldest ones can only raise the number that is left to others."""


@dataclass(slots=True)
class _Snapshot:
    """A snapshot in hand.

    Attributes:
        received: when it was received, in seconds on the event loop's clock.
        left: what it leaves to others, in calls.
        proof: what it proves that others have.
        frees: whether an end after it may free a slot.
    """

    received: float
    left: int
    proof: int
    frees: bool


class InHand:
    """The snapshots in hand. Moments are in seconds on the event loop's clock.

    Args:
        counter_lag: seconds by which the provider's count is late, at most.

    Attributes:
        others: calls that are left to others; 0 before the first snapshot.
    """

    __slots__ = ("_counter_lag", "_leaving", "_left_at", "_snapshots", "_woke_at", "others")

    def __init__(self, counter_lag: float) -> None:
        self.others = 0
        self._counter_lag = counter_lag
        self._snapshots: deque[_Snapshot] = deque(maxlen=MOST)
        # By when calls left own, and how many; and how many have left since the last note of the
        # time.
        self._left_at: deque[tuple[float, int]] = deque()
        self._leaving = 0
        self._woke_at = -math.inf

    def leave(self) -> None:
        """Note that a call has left own, whether it was counted or not."""
        self._leaving += 1

    def note_time(self, now: float) -> None:
        """Note that the calls which have left since the last note did so by `now`."""
        if self._leaving:
            self._left_at.append((now, self._leaving))
            self._leaving = 0

    def end(self, ended_after: float = -math.inf) -> None:
        """Note that an own call that was surely counted is over, or forgotten.

        Args:
            ended_after: a moment after which it surely ended; minus infinity if that is unknown.
        """
        for each in self._snapshots:
            if not (each.frees and each.received < ended_after):
                each.left += 1
        self._find_others()

    def record(self, count: int, *, own: int, counted: int, began: float, received: float) -> None:
        """Take a snapshot in hand.

        Args:
            count: the calls that it counts.
            own: the own calls when it came.
            counted: those of them that it surely counts.
            began: when its request began.
            received: when it was received.
        """
        self.note_time(received)
        left_at = self._left_at
        while left_at and left_at[0][0] < began - self._counter_lag:
            left_at.popleft()
        may_count = own + sum(calls for _, calls in left_at)
        snapshots = self._snapshots
        while snapshots and snapshots[0].received < received - WINDOW:
            snapshots.popleft()
        frees = began >= self._woke_at
        snapshots.append(_Snapshot(received, count - counted, count - may_count, frees))
        self._find_others()

    def note_sleep(self, slept: float, now: float) -> None:
        """Note that the clock stood still for `slept` seconds, until `now`.

        Only the latest snapshot stays in hand. Neither that one nor one that was in flight
        meanwhile frees anything, because it isn't known whether it came before or after an end.
        """
        self._woke_at = now
        while len(self._snapshots) > 1:
            self._snapshots.popleft()
        for each in self._snapshots:
            each.received -= slept
            each.frees = False
        self._find_others()

    def _find_others(self) -> None:
        proven: float = -math.inf
        least: float = math.inf
        for each in reversed(self._snapshots):
            least = min(least, max(each.left, proven))
            proven = max(proven, each.proof)
        self.others = int(least) if self._snapshots else 0
