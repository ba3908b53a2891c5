"""The books of one process: how many calls may be going on, and since when the gate knows.

A permit is a *lease* here, a number that is never used twice. The books hold mechanism only: which
ceiling a lane has is decided elsewhere and comes as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cachetools import TLRUCache

from callguard.decision import Usage, Withheld
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["MemoryLedger"]

EARLY_EVIDENCE = 10_000
"""Calls of which evidence is remembered that came before the dial returned.

A second's worth of the heaviest storm of deliveries that is provided for. What is forgotten costs
nothing but the evidence.
"""

EARLY_EVIDENCE_SECONDS = 300.0
"""How long it is remembered: longer than a dial takes (120 s at most with SDK 6.2.13)."""


@dataclass(frozen=True, slots=True)
class _Early:
    """What is known of a call whose dial has not returned: when it was answered, or it is over."""

    known_at: float
    ended: bool


class MemoryLedger:
    """The accounting of DESIGN.md's law, for gates that share nothing with other processes.

    Every method is one step that nothing can come between, and takes the time as an argument:
    seconds on the event loop's clock.

    Args:
        times: how long things last.

    Attributes:
        in_use: the usage in calls, without the reported part where there is no reading yet.
        leases: leases granted so far, which is also the latest of them.
        others_wait: False: these books are the process's own.
        snapshot: the latest reading, or None.
    """

    __slots__ = (
        "_admits_until",
        "_answered",
        "_call_of",
        "_changed_at",
        "_counter_lag",
        "_early",
        "_lease_of",
        "_max_age",
        "_now",
        "_placed",
        "_refused_at",
        "_slept",
        "_visible_after",
        "_woke_at",
        "in_use",
        "leases",
        "others_wait",
        "snapshot",
    )

    def __init__(self, times: Times) -> None:
        self.in_use = 0
        self.leases = 0
        self.others_wait = False
        self.snapshot: Snapshot | None = None
        self._visible_after = times.visible_after
        self._counter_lag = times.counter_lag
        self._max_age = times.max_age
        self._refused_at = -math.inf
        self._changed_at = -math.inf
        self._admits_until = -math.inf
        self._slept = 0.0
        self._woke_at = -math.inf
        # The unseen calls, by lease: when the counter surely shows them, in that order. Those that
        # are known to have been answered are apart, because their order is another. Numbers only,
        # so that the garbage collector has nothing to walk through however many there are.
        self._placed: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        # The provider's ids of the unseen calls, as far as they are known.
        self._lease_of: dict[str, int] = {}
        self._call_of: dict[int, str] = {}
        self._now = -math.inf
        self._early = TLRUCache[str, _Early, float](
            EARLY_EVIDENCE,
            ttu=lambda _, early, __: early.known_at + EARLY_EVIDENCE_SECONDS,
            timer=lambda: self._now,
        )

    @property
    def spent(self) -> bool:
        """Whether the provider has refused a call since the reading in hand began."""
        return self.snapshot is not None and self.snapshot.began <= self._refused_at

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None where the counts decide."""
        return "reading spent" if self.spent else None

    @property
    def outdated(self) -> bool:
        """Whether the count is known to have changed since the reading in hand began."""
        snapshot = self.snapshot
        return snapshot is not None and snapshot.began <= max(self._refused_at, self._changed_at)

    def usage(self) -> Usage:
        """The usage and what it is made of."""
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        unseen = len(self._placed) + len(self._answered)
        return Usage(reported, self.in_use - (reported or 0) - unseen, unseen)

    def unseen_calls(self) -> Iterator[str]:
        """The provider's ids of the unseen calls, as far as they are known, the oldest first."""
        return iter(self._lease_of)

    def is_unseen(self, lease: int) -> bool:
        """Whether a placed `lease` may be missing from the reading in hand."""
        return lease in self._placed or lease in self._answered

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
        self._placed[lease] = now + self._visible_after

    def release(self, lease: int) -> None:  # noqa: ARG002
        """A dispatching `lease` gives its place back: its call never was, or is over."""
        self.in_use -= 1

    def withdraw(self, lease: int) -> None:
        """A placed `lease` gives its place back, unless a reading has absorbed it."""
        if self._forget(lease):
            self.in_use -= 1

    def restore(self, lease: int, now: float) -> None:
        """A `lease` that gave its place back was placed after all."""
        self.in_use += 1
        self.place(lease, now)

    def answered(self, lease: int, now: float) -> None:
        """The call of a placed `lease` was answered, at `now` or before."""
        visible_at = now + self._counter_lag
        if visible_at < self._placed.get(lease, -math.inf):
            del self._placed[lease]
            self._answered[lease] = visible_at

    def bind(self, lease: int, call_id: str, now: float) -> None:
        """The call of a placed `lease` has the provider's id `call_id`.

        Evidence about it that came before is taken into account now.
        """
        if lease in self._placed or lease in self._answered:
            self._lease_of[call_id] = lease
            self._call_of[lease] = call_id
            self._now = now
            early = self._early.pop(call_id, None)
            if early is not None and early.ended:
                self.withdraw(lease)
            elif early is not None:
                self.answered(lease, early.known_at)

    def note_answered(self, call_id: str, now: float) -> None:
        """Evidence, from anywhere, that a call was answered at `now` or before."""
        lease = self._lease_of.get(call_id)
        if lease is not None:
            self.answered(lease, now)
        else:
            self._remember(call_id, now, ended=False)

    def note_ended(self, call_id: str, now: float) -> None:
        """Evidence, from anywhere, that a call is over at `now`."""
        lease = self._lease_of.get(call_id)
        if lease is not None:
            self.withdraw(lease)
        else:
            self._remember(call_id, now, ended=True)

    def note_change(self, now: float) -> None:
        """The count is not what it was at `now`."""
        self._changed_at = now

    def note_line(self) -> None:
        """Nothing: who waits is known where places are given."""

    def lost(self, lease: int, now: float) -> bool:  # noqa: ARG002
        """False: these books are the process's own."""
        return False

    def note_sleep(self, slept: float, now: float) -> None:
        """The machine slept for `slept` seconds, and is awake since `now`; the clock stood still.

        So what began before is older than the clock says, and may authorise nothing any more.
        """
        self._slept += slept
        self._woke_at = now
        self._admits_until -= slept
        if self.snapshot is not None:
            self.snapshot = self.snapshot.aged(slept)

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
        if snapshot.began < self._woke_at:
            snapshot = snapshot.aged(self._slept)
        if before is not None and snapshot.began <= before.began:
            return False
        self.snapshot = snapshot
        self.in_use += snapshot.limits.current_concurrency
        if before is not None:
            self.in_use -= before.limits.current_concurrency
        self._absorb(self._placed, snapshot.began)
        self._absorb(self._answered, snapshot.began)
        self._admits_until = -math.inf if self.spent else snapshot.began + self._max_age
        return True

    def _absorb(self, unseen: dict[int, float], began: float) -> None:
        seen = []
        for lease, visible_at in unseen.items():
            if visible_at >= began:
                break
            seen.append(lease)
        for lease in seen:
            self._forget(lease)
        self.in_use -= len(seen)

    def _forget(self, lease: int) -> bool:
        """Take a lease from the unseen; whether it was among them."""
        call_id = self._call_of.pop(lease, None)
        if call_id is not None and self._lease_of.get(call_id) == lease:
            del self._lease_of[call_id]
        unseen = self._placed if lease in self._placed else self._answered
        return unseen.pop(lease, None) is not None

    def _remember(self, call_id: str, now: float, *, ended: bool) -> None:
        self._now = now
        early = self._early.get(call_id)
        # That a call is over outlasts that it was answered, whichever comes first.
        if early is None or (ended and not early.ended):
            self._early[call_id] = _Early(now, ended)
