"""The books of one process: how many calls may be going on, and since when the gate knows.

A permit is a *lease* here, a number that is never used twice. The books hold mechanism only: which
ceiling a lane has is decided elsewhere and comes as an argument.
"""

from __future__ import annotations

import math

from callguard.decision import Usage
from callguard.limits import Snapshot

__all__ = ["MemoryLedger"]


class MemoryLedger:
    """The accounting of DESIGN.md's law, for gates that share nothing with other processes.

    Every method is one step that nothing can come between, and takes the time as an argument:
    seconds on the event loop's clock.

    Args:
        visible_after: seconds after a dial returned from which the counter surely shows its call.
        max_age: seconds that a reading may be trusted.

    Attributes:
        in_use: the usage in calls, without the reported part where there is no reading yet.
        leases: leases granted so far, which is also the latest of them.
        snapshot: the latest reading, or None.
    """

    __slots__ = (
        "_admits_until",
        "_max_age",
        "_refused_at",
        "_unseen",
        "_visible_after",
        "in_use",
        "leases",
        "snapshot",
    )

    def __init__(self, *, visible_after: float, max_age: float) -> None:
        self.in_use = 0
        self.leases = 0
        self.snapshot: Snapshot | None = None
        self._visible_after = visible_after
        self._max_age = max_age
        self._refused_at = -math.inf
        self._admits_until = -math.inf
        # By lease, in the order of placing: when the dial returned. Numbers only, so that the
        # garbage collector has nothing to walk through however many there are.
        self._unseen: dict[int, float] = {}

    @property
    def spent(self) -> bool:
        """Whether the provider has refused a call since the reading in hand began."""
        return self.snapshot is not None and self.snapshot.began <= self._refused_at

    def usage(self) -> Usage:
        """The usage and what it is made of."""
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        unseen = len(self._unseen)
        return Usage(reported, self.in_use - (reported or 0) - unseen, unseen)

    def acquire(self, ceiling: int, now: float) -> int:
        """Check and commit in one step.

        Returns:
            A lease if one more call fits under `ceiling` and the reading may be trusted at `now`;
            else 0, and nothing has changed.
        """
        if self.in_use >= ceiling or now > self._admits_until:
            return 0
        self.in_use += 1
        self.leases += 1
        return self.leases

    def place(self, lease: int, now: float) -> None:
        """The dial of a dispatching `lease` has returned: it is unseen until a reading shows it."""
        self._unseen[lease] = now

    def release(self) -> None:
        """A dispatching lease gives its place back: its call never was."""
        self.in_use -= 1

    def withdraw(self, lease: int) -> None:
        """A placed `lease` gives its place back, unless a reading has absorbed it: it never was."""
        if self._unseen.pop(lease, None) is not None:
            self.in_use -= 1

    def restore(self, lease: int, now: float) -> None:
        """A `lease` that gave its place back was placed after all."""
        self.in_use += 1
        self.place(lease, now)

    def refuse(self, now: float) -> None:
        """The provider refused a call: nothing more until a reading that begins after `now`."""
        self._refused_at = now
        self._admits_until = -math.inf

    def record(self, snapshot: Snapshot) -> bool:
        """Take a reading into the books, and drop the placed calls that it surely counts.

        Returns:
            False, and nothing has changed, if the reading is no newer than the one in hand.
        """
        before = self.snapshot
        if before is not None and snapshot.began <= before.began:
            return False
        self.snapshot = snapshot
        self.in_use += snapshot.limits.current_concurrency
        if before is not None:
            self.in_use -= before.limits.current_concurrency
        self._absorb(snapshot.began)
        self._admits_until = -math.inf if self.spent else snapshot.began + self._max_age
        return True

    def _absorb(self, began: float) -> None:
        seen = []
        for lease, placed_at in self._unseen.items():
            if placed_at + self._visible_after >= began:
                break
            seen.append(lease)
        for lease in seen:
            del self._unseen[lease]
        self.in_use -= len(seen)
