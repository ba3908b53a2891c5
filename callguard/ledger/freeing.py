"""The usage of a ledger in memory, and the ends that free slots at once."""

from __future__ import annotations

from callguard.accounting import Counted
from callguard.in_hand import InHand
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["Freeing"]


class Freeing:
    """The part of a `MemoryLedger` that has the usage, and the own calls that are counted.

    Args:
        times: the durations that the ledger uses.
        lasts: seconds for which a call may go on once a snapshot has counted it.
        exact: whether the number of own calls must never be too low.
        ends_free: whether calls that are known to be over free their slots at once.

    Attributes:
        ends_free: whether they do; False once that was given up.
        in_use: the usage in calls; without a snapshot, only its own part.
        snapshot: the latest snapshot, or None.
    """

    __slots__ = ("_counted", "_ended", "_in_hand", "ends_free", "in_use", "snapshot")

    def __init__(self, times: Times, lasts: float, *, exact: bool, ends_free: bool) -> None:
        self.in_use = 0
        self.snapshot: Snapshot | None = None
        self.ends_free = ends_free
        self._in_hand = InHand(times.counter_lag) if ends_free else None
        self._counted = Counted(lasts, exact=exact, in_hand=self._in_hand)
        # By how much the usage is lower than the count, dialling and uncounted calls together.
        self._ended = 0

    def unsettled(self) -> int:
        """Calls of this gate's own that are dialling or uncounted."""
        snapshot = self.snapshot
        reported = 0 if snapshot is None else snapshot.limits.current_concurrency
        return self.in_use + self._ended - reported

    def _free(self) -> None:
        """Leave calls out of the usage that the snapshots in hand prove to be over, or in twice."""
        ended = 0
        if self._in_hand is not None and self.snapshot is not None:
            count = self.snapshot.limits.current_concurrency
            ended = count - len(self._counted) - self._in_hand.others
        self.in_use += self._ended - ended
        self._ended = ended

    def _take_in_hand(self, in_hand: InHand, snapshot: Snapshot) -> None:
        """Take a snapshot in hand that has absorbed what it surely counts."""
        counted = len(self._counted)
        in_hand.record(
            snapshot.limits.current_concurrency,
            own=self.unsettled() + counted,
            counted=counted,
            began=snapshot.began,
            received=snapshot.received,
        )
        self._free()

    def _keep_ends(self) -> None:
        """Let no end free a slot at once any more."""
        self.ends_free = False
        self._in_hand = None
        self._counted.give_up_in_hand()
        self._free()
