"""What one worker sees of a shared ledger, and changes in it. No I/O, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from callguard.decision import Usage, Withheld
from callguard.ledger.memory import MemoryLedger
from callguard.ledger.protocol import Readings
from callguard.ledger.redis.halts import HALT, scope_key
from callguard.ledger.redis.keys import Names, trunk_hash
from callguard.ledger.redis.outbox import NOTE_ANSWERED, NOTE_ENDED, Outbox
from callguard.ledger.times import Times
from callguard.limits import Snapshot
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["View"]

_ENDS_DIALLING: Final = {"place", "release", "withdraw"}


class View:
    """A `Ledger` that reports its changes to a server, and has the usage that the server answered.

    Beside, the view keeps a ledger of this worker's own calls in memory. While the server can't be
    reached, the worker is alone, and if it has a share it goes by that ledger: it gives slots as a
    process would that knows of no other, but has no more than `share` calls at once of which the
    counter knows nothing. So the count may exceed the ceiling by no more than the others' shares.

    Args:
        names: what calls are called on the server.
        times: how long things last.
        speak: called when there is something to report.
        share: calls that may be dialling or uncounted at once while it is alone; None for nobody.
        trunks: those of the gate. While it is alone, the worker keeps their rates by itself.

    Attributes:
        granted: permits granted so far.
        alone: whether the server can't be reached.
        next_number: a number that no permit has had.
        outbox: what there is to report.
        others_wait: whether callers of other workers are in the queue.
        valid_until: when the worker's lease runs out, unless it is renewed.
        trunks_due_at: when trunks are due, as the server said last.
        dated: the latest snapshot that the server brought, whose dates allow for any sleep.
        readings: who takes the next snapshot, and when; to be set.
        own_readings: when this worker reads while it is alone.
    """

    def __init__(
        self,
        names: Names,
        times: Times,
        speak: Callable[[], None],
        *,
        share: int | None = None,
        trunks: Sequence[Trunk] = (),
    ) -> None:
        self.granted = 0
        self.alone = False
        self.next_number = 1
        self.outbox = Outbox()
        self.others_wait = False
        self.valid_until = -math.inf
        self.trunks_due_at: dict[str, float] = {}
        self.dated: Snapshot | None = None
        self.readings: Readings[Any]
        self._names = names
        self._speak = speak
        self._share = share
        self._own = MemoryLedger(times, trunks)
        self.own_readings = self._own.readings
        self._trunks = {trunk.name: trunk for trunk in trunks if trunk.cps is not None}
        self._counts = (0, 0)
        self._spent = False
        self._ledger_lost = False
        # Permits whose end the server is not known to have heard of, with their lanes.
        self._held: dict[int, str] = {}
        # Those of them that were given without the server, which doesn't know of them yet.
        self._given_alone: set[int] = set()
        self._lost: set[int] = set()

    # What the gate asks --------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest snapshot, or None."""
        return self._own.snapshot

    @property
    def reads_alone(self) -> bool:
        """Whether this worker goes by its own ledger, and needs snapshots of its own."""
        return self.alone and self._share is not None

    @property
    def in_use(self) -> int:
        """The usage in calls, without the reported part where there is no snapshot yet."""
        if self.alone and self._share is not None:
            return self._own.in_use
        snapshot, (dialling, uncounted) = self._own.snapshot, self._counts
        reported = 0 if snapshot is None else snapshot.limits.current_concurrency
        return dialling + uncounted + reported

    @property
    def spent(self) -> bool:
        """Whether the snapshot in hand authorises nothing."""
        return self._own.spent if self.reads_alone else self._spent

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None where the counts decide."""
        if self.reads_alone:
            return "local share" if self._share_is_used_up else self._own.withheld
        if self.alone:
            return "ledger away"
        if self._ledger_lost:
            return "ledger lost"
        return "snapshot spent" if self._spent else None

    @property
    def _share_is_used_up(self) -> bool:
        return self._own.unsettled() >= (self._share or 0)

    @property
    def outdated(self) -> bool:
        """Whether this worker knows of a change since the snapshot in hand began."""
        return self.spent or self._own.outdated

    def usage(self) -> Usage:
        """The usage as the server reported it last, or as far as this worker alone knows it."""
        own = self._own.usage()
        return own if self.reads_alone else Usage(own.reported, *self._counts)

    def unsettled(self) -> int:
        """Calls of this worker's own that are dialling or uncounted."""
        return self._own.unsettled()

    def uncounted_calls(self) -> Mapping[str, int]:
        """The uncounted calls of this worker by the provider's ids, the oldest first."""
        return self._own.uncounted_calls()

    def lost(self, number: int, now: float) -> bool:
        """Whether the server took `number` for a placed call while it was dialling."""
        if number in self._given_alone:
            return False
        return number in self._lost or (number in self._held and now > self.valid_until)

    # What the gate says --------------------------------------------------------------------------

    def pace(self, trunk: str) -> Pace | None:
        """When a trunk is due by this worker's own starts; the server knows those of others too."""
        return self._own.pace(trunk)

    def due_at(self, trunk: str) -> float:
        """From when on a trunk may start its next call, as far as this worker knows."""
        return max(self._own.due_at(trunk), self.trunks_due_at.get(trunk, -math.inf))

    def unstart(self, number: int) -> None:
        """Nobody has dialled with a permit: its start, if it was charged, never was."""
        if self._trunks:
            self.trunks_due_at.clear()
            self._own.unstart(number)
            self._say("unstart", number)

    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int:
        """A permit out of the share while the worker is alone; else 0: the server gives slots."""
        may_give = self.reads_alone and not self._share_is_used_up
        is_due = pace is None or now >= pace.due_at
        if not (may_give and is_due and self._own.acquire(ceiling, now)):
            return 0
        number, self.next_number = self.next_number, self.next_number + 1
        if pace is not None:
            pace.start(number, now)
        self.granted += 1
        self._held[number] = ""
        self._given_alone.add(number)
        self._say("adopt", number, "")
        return number

    def halt(self, lane: str | None, trunk: str | None, why: tuple[str, str] | None) -> None:
        """Pause a lane and a trunk at all gates, and say by whom and why; or resume them."""
        self._say(HALT, scope_key(lane, trunk), *(why or ()))

    def note_queue(self) -> None:
        """Somebody has joined the queue, or left it."""
        self._speak()

    def place(self, number: int, now: float) -> None:
        """The dial of a dialling permit has returned."""
        self._own.place(number, now)
        self._say("place", number, self._held.get(number, ""))

    def release(self, number: int) -> None:
        """A dialling permit gives its slot back."""
        self._own.release(number)
        self._say("release", number)
        self._forget(number)

    def withdraw(self, number: int) -> None:
        """A placed permit gives its slot back, unless a snapshot has absorbed it."""
        self._own.withdraw(number)
        self._say("withdraw", number)

    def restore(self, number: int, now: float, trunk: str | None = None) -> None:
        """A permit that gave its slot back, and its start on `trunk`, was placed after all."""
        lane = self._held.get(number, "")
        self._own.restore(number, now, trunk)
        if trunk in self._trunks:
            self._say("restart", number, trunk_hash(trunk), lane)
        self._say("place", number, lane)

    def answered(self, number: int, now: float) -> None:
        """The call of a placed permit was answered."""
        self._own.answered(number, now)
        self._say("answered", number)

    def bind(self, number: int, call_id: str, now: float) -> None:
        """The call of a placed permit has the provider's id `call_id`."""
        self._own.bind(number, call_id, now)
        self._say("bind", number, self._names.call(call_id))

    def note_answered(self, call_id: str, now: float) -> None:
        """Evidence that a call was answered, whichever worker placed it."""
        self._own.note_answered(call_id, now)
        self.outbox.note(NOTE_ANSWERED, self._names.call(call_id))
        self._speak()

    def note_ended(self, call_id: str, now: float) -> None:
        """Evidence that a call is over, whichever worker placed it."""
        self._own.note_ended(call_id, now)
        self.outbox.note(NOTE_ENDED, self._names.call(call_id))
        self._speak()

    def note_change(self, now: float) -> None:
        """The provider's count has changed."""
        self._own.note_change(now)
        self._say("note_change")

    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None:
        """The provider refused a call: nothing more until a snapshot that begins later."""
        self._spent = True
        self._own.refuse(now, number, trunk)
        self._say("refuse")
        if (rated := self._trunks.get(trunk or "")) is not None:
            apart = math.ceil(rated.span / rated.most * 1000)
            self._say("push_back", number, trunk_hash(rated.name), apart)

    def record(self, snapshot: Snapshot) -> bool:
        """Take a snapshot into view; the server has it already, unless the worker is alone."""
        brought = snapshot is self.dated
        is_new = self._own.record_dated(snapshot) if brought else self._own.record(snapshot)
        if self._given_alone:
            self._forget_counted()
        return is_new

    def _forget_counted(self) -> None:
        """Permits that were given alone and are over, so that the server need not hear of them."""
        placed = {int(said[1]) for said in self.outbox.pending() if said[0] == "place"}
        for number in self._given_alone & placed:
            if not self._own.is_uncounted(number):
                self._forget(number)

    def note_sleep(self, slept: float, now: float) -> None:
        """The machine slept for `slept` seconds, and the worker's lease ran on."""
        self.valid_until -= slept
        self._own.note_sleep(slept, now)

    # What the server answers ---------------------------------------------------------------------

    def held(self) -> list[tuple[int, str]]:
        """The permits whose end the server is not known to have heard of, with their lanes."""
        return list(self._held.items())

    def hold(self, number: int, lane: str, trunk: str | None, now: float) -> None:
        """The server has given a slot to a lane, and a start to its trunk where that has a rate."""
        if trunk is not None and (pace := self._own.pace(trunk)) is not None:
            pace.start(number, now)
        self.granted += 1
        self._held[number] = lane
        self._own.in_use += 1

    def reported(self) -> None:
        """The server has heard the outbox's last batch."""
        for happening in self.outbox.reported():
            if happening[0] in _ENDS_DIALLING:
                self._held.pop(int(happening[1]), None)
            elif happening[0] == "adopt":
                self._given_alone.discard(int(happening[1]))

    def lose(self) -> dict[int, str]:
        """The server has taken the permits that this worker holds for placed calls.

        Returns:
            The permits that are dialling still and were not lost before, with their lanes.
        """
        safe = {said[1] for said in self.outbox.pending() if said[0] in _ENDS_DIALLING}
        safe |= self._given_alone | self._lost
        lost = {number: lane for number, lane in self._held.items() if number not in safe}
        self._lost.update(lost)
        return lost

    def see(self, counts: Sequence[int], *, spent: bool, lost: bool) -> None:
        """Take in what the server counts beside the provider's count.

        Args:
            counts: calls that are dialling, and uncounted ones.
            spent: whether the snapshot in hand authorises nothing.
            lost: whether that is because the ledger is new or was lost.
        """
        self._counts = (counts[0], counts[1])
        self._spent, self._ledger_lost = spent, lost

    def _say(self, kind: str, *what: str | int) -> None:
        self.outbox.say(kind, *what)
        self._speak()

    def _forget(self, number: int) -> None:
        """A permit is over: the server need not hear of it if it never has."""
        if self.outbox.forget(number):
            self._given_alone.discard(number)
            self._held.pop(number, None)
