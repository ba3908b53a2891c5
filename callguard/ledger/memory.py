"""The ledger of one process: the most calls that can be going on, and what the gate knows of them.

A permit is a *number* here, a number that is never used twice. The ledger is mechanism only: the
ceiling of a lane is decided elsewhere and passed as an argument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from callguard.accounting import longest_of
from callguard.decision import Usage, Withheld
from callguard.ledger.absorbing import Absorbing
from callguard.ledger.early import EarlyEvidence
from callguard.ledger.paces import Paced, Paces
from callguard.ledger.readings import OwnReadings
from callguard.ledger.times import Times
from callguard.ledger.unshared import Unshared
from callguard.limits import Snapshot
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["MemoryLedger"]


class MemoryLedger(Absorbing, Paced, Unshared):
    """The law of docs/design.md, for gates that share nothing with other processes.

    Every method is one step that nothing can come between, and takes the time as an argument, in
    seconds on the event loop's clock.

    Args:
        times: the durations that the ledger uses.
        trunks: the gate's trunks.
        inbound_apart: whether the provider lets inbound calls use the slots that are reserved for
            them without counting them against outbound calls.
        ends_free: whether calls that are known to be over free their slots at once.

    Attributes:
        ends_free: whether the ledger goes by that; False once the provider refused a call.
        in_use: the usage in calls; without a snapshot, only its own part.
        granted: permits granted so far, which is also the latest of them.
        inbound_apart: whether the ledger goes by that; False once the provider refused a call.
        readings: when the next snapshot is taken.
        snapshot: the latest snapshot, or None.
    """

    __slots__ = (
        "_admits_until",
        "_changed_at",
        "_early",
        "_fills",
        "_heeds_dials",
        "_max_age",
        "_paces",
        "_refused_at",
        "_slept",
        "_woke_at",
        "granted",
        "inbound_apart",
        "readings",
    )

    def __init__(
        self,
        times: Times,
        trunks: Sequence[Trunk] = (),
        *,
        inbound_apart: bool = False,
        ends_free: bool = False,
    ) -> None:
        lasts = times.ring_limit + longest_of(trunks)
        super().__init__(times, lasts, exact=inbound_apart, ends_free=ends_free)
        self.granted = 0
        self.inbound_apart = inbound_apart
        self.readings = OwnReadings(times)
        self._max_age = times.max_age
        self._refused_at = -math.inf
        self._changed_at = -math.inf
        self._admits_until = -math.inf
        self._slept = 0.0
        self._woke_at = -math.inf
        self._paces = Paces(trunks, times.ring_limit)
        # Whether any trunk takes only so many calls, and has to hear when one is over; and whether
        # any has to hear that a dial has returned. Mostly none has.
        self._fills = self._heeds_dials = self._paces.fill
        self._early = EarlyEvidence()

    @property
    def spent(self) -> bool:
        """Whether the provider has refused a call since the snapshot in hand began."""
        return self.snapshot is not None and self.snapshot.began <= self._refused_at

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None if the counts decide."""
        return "snapshot spent" if self.spent else None

    @property
    def outdated(self) -> bool:
        """Whether the count is known to have changed since the snapshot in hand began."""
        snapshot = self.snapshot
        return snapshot is not None and snapshot.began <= max(self._refused_at, self._changed_at)

    def usage(self) -> Usage:
        """The usage and its parts."""
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        uncounted = len(self._placed) + len(self._answered)
        counted, ended = self._counted.known, self._ended
        if ended and counted is not None:
            counted = max(0, min(counted, (reported or 0) - ended))
        dialling = self.in_use + ended - (reported or 0) - uncounted
        return Usage(reported, dialling, uncounted, counted, ended)

    @property
    def inbound(self) -> int | None:
        """Others' calls, where inbound calls are counted apart; None where all are together."""
        if self.snapshot is None or not self.inbound_apart:
            return None
        return max(0, self.snapshot.limits.current_concurrency - self._ended - self._counted.most)

    @property
    def next_number(self) -> int:
        """A number that no permit has had; each later one is above."""
        return self.granted + 1

    def holds(self, number: int) -> bool:
        """Whether a placed permit may be missing from the snapshot in hand, or is on its trunk."""
        is_uncounted = number in self._placed or number in self._answered
        return is_uncounted or self._paces.has(number)

    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int:
        """Check and commit in one step.

        Returns:
            A permit's number if one more call fits under `ceiling`, its trunk is due and the
            snapshot may be trusted at `now`; else 0, and nothing has changed.
        """
        if self.in_use >= ceiling or now > self._admits_until:
            return 0
        number = self.granted + 1
        if pace is not None:
            if now < pace.due_at:
                return 0
            pace.start(number, now)
        self.in_use += 1
        self.granted = number
        return number

    def place(self, number: int, now: float) -> None:
        """The dial of a dialling permit has returned: it is uncounted until a snapshot shows it."""
        if self._heeds_dials:
            self._heeds_dials = self._paces.place(number, now)
        self._placed[number] = now

    def release(self, number: int) -> None:
        """A dialling permit gives its slot back: its call never was, or is over."""
        self.in_use -= 1
        if self._fills:
            self._paces.leave(number)
        if self._in_hand is not None:
            self._in_hand.leave()

    def withdraw(self, number: int, ended_after: float = -math.inf) -> None:
        """Give back a placed permit's slot; if its call is absorbed, only a snapshot does that.

        Where ends free at once, it is given back also if the call surely ended after a snapshot
        that counts it was received; `ended_after` is as in `note_ended`.
        """
        was_uncounted = self._forget(number)
        if was_uncounted:
            self.in_use -= 1
        was_own = was_uncounted or self._counted.end(number, ended_after)
        self._ids.forget(number)
        if self._fills:
            self._paces.leave(number)
        if self._in_hand is not None and was_own:
            self._in_hand.leave()
            self._free()

    def restore(
        self, number: int, now: float, trunk: str | None = None, *, restarts: bool = True
    ) -> None:
        """A permit that gave its slot back was placed after all, on `trunk`.

        Its start there is charged again if it `restarts`: that was given back as well.
        """
        self._paces.restore(number, trunk, now, restarts=restarts)
        self.in_use += 1
        self.place(number, now)

    def bind(self, number: int, call_id: str, now: float) -> bool:
        """Record that the call of a placed permit has the provider's id `call_id`.

        Evidence about the call that came earlier takes effect now.

        Returns:
            Whether the call is uncounted, as far as is known by now.
        """
        is_uncounted = (
            number in self._placed or number in self._answered or number in self._on_trust
        )
        is_known = is_uncounted or number in self._counted.numbers
        if is_known:
            self._ids.bind(number, call_id)
        if self._fills:
            is_known |= self._paces.bind(number, call_id)
        early = self._early.pop(call_id, now) if is_known else None
        if early is not None and early.ended:
            self.withdraw(number)
            return False
        if early is not None:
            self.answered(number, early.known_at)
        return is_uncounted

    def note_answered(self, call_id: str, now: float) -> None:
        """Record evidence, from any source, that a call was answered at `now` or before."""
        number = self._ids.number_of(call_id)
        if number is not None:
            self.answered(number, now)
        else:
            self._early.remember(call_id, now, ended=False)

    def note_ended(self, call_id: str, now: float, ended_after: float = -math.inf) -> None:
        """Record evidence, from any source, that a call is over at `now`.

        It surely ended after `ended_after`; minus infinity if that is unknown.
        """
        self._counted.hears_of_ends = True
        number = self._ids.number_of(call_id)
        if number is None and self._fills:
            number = self._paces.number_of(call_id)
        if number is not None:
            self.withdraw(number, ended_after)
        else:
            self._early.remember(call_id, now, ended=True)

    def note_change(self, now: float) -> None:
        """Note that the provider's count has changed, at `now` or before."""
        self._changed_at = now
        self.readings.changed()
        if self._in_hand is not None:
            self._in_hand.note_time(now)

    def note_sleep(self, slept: float, now: float) -> None:
        """Note that the machine slept for `slept` seconds, until `now`; the clock stood still.

        Everything from before is older than the clock says, so the snapshot may authorise nothing
        any more.
        """
        self._slept += slept
        self._woke_at = now
        self._paces.note_sleep(slept)
        self._admits_until -= slept
        if self.snapshot is not None:
            self.snapshot = self.snapshot.aged(slept)
        if self._in_hand is not None:
            self._in_hand.note_sleep(slept, now)
            self._free()

    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None:
        """The provider refused a call: nothing more until a snapshot that begins after `now`.

        On the call's trunk the next start is pushed back besides, where both are known. Whatever
        the cause was, what rests on the provider's word alone is given up.
        """
        self.inbound_apart = False
        self._keep_ends()
        self._refused_at = now
        self._admits_until = -math.inf
        self.readings.changed()
        self._heeds_dials |= self._paces.push_back(trunk, number, now)

    def note_refused(self, call_id: str) -> None:
        """Do nothing, since the gate knows the trunk of each of its calls."""

    def record(self, snapshot: Snapshot) -> bool:
        """Take a snapshot into the ledger, and drop the placed calls that it surely counts.

        Returns:
            False, and nothing has changed, if the snapshot is no newer than the one in hand.
        """
        if snapshot.began < self._woke_at:
            snapshot = snapshot.aged(self._slept)
        return self.record_dated(snapshot)

    def record_dated(self, snapshot: Snapshot) -> bool:
        """As `record`, of a snapshot in whose dates the machine's sleep is allowed for already."""
        before = self.snapshot
        if before is not None and snapshot.began <= before.began:
            return False
        self.snapshot = snapshot
        self.in_use += snapshot.limits.current_concurrency
        if before is not None:
            self.in_use -= before.limits.current_concurrency
        self._absorb(self._placed, snapshot.began - self._counted_after, snapshot)
        self._absorb(self._answered, snapshot.began - self._counter_lag, snapshot)
        self._trust(snapshot.began)
        self._count(snapshot)
        if self._in_hand is not None:
            self._take_in_hand(self._in_hand, snapshot)
        self._admits_until = -math.inf if self.spent else snapshot.began + self._max_age
        self.readings.recorded(snapshot.began, outdated=self.outdated)
        return True
