"""One worker's view of a shared ledger, by which it sees and changes it. No I/O, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from callguard.decision import Usage, Withheld
from callguard.ledger.memory import MemoryLedger
from callguard.ledger.occupancy import Occupancy
from callguard.ledger.protocol import Readings
from callguard.ledger.redis.heard import HeardSnapshots
from callguard.ledger.redis.held import Held
from callguard.ledger.redis.keys import Names, trunk_hash
from callguard.ledger.redis.outbox import NOTE_ANSWERED, NOTE_ENDED, Outbox
from callguard.ledger.redis.pauses import PAUSING, scope_key
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.shared_trunks import SharedTrunks
from callguard.ledger.redis.told import Told
from callguard.limits import Snapshot
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["View"]


class View(Told):
    """A `Ledger` that reports its changes to a server, and has the usage that the server answered.

    The view also keeps a ledger of this worker's own calls in memory. While the server can't be
    reached, the worker is alone, and if it has a share it uses that ledger: it grants slots like a
    process that knows of no other, but has at most `share` calls at once that are dialling or
    uncounted. So the count may exceed the ceiling by what other workers have dialling or uncounted.

    Args:
        names: makes the names of calls on the server.
        settings: the ledger's settings.
        speak: called when there is something to report.
        share: calls that may be dialling or uncounted at once while the worker is alone, if any.
        trunks: the gate's trunks. While it is alone, the worker keeps their rates by itself.

    Attributes:
        granted: permits granted so far.
        heard: when this worker heard of the latest snapshots.
        alone: whether the server can't be reached.
        next_number: a number that no permit has had.
        outbox: the happenings and evidence to report.
        others_wait: whether callers of other workers are in the queue.
        valid_until: when the worker's lease runs out, unless it is renewed.
        trunks: the trunks of the gate, as the server said last.
        dated: the latest snapshot that the server brought, whose dates allow for any sleep.
        readings: who takes the next snapshot, and when; to be set.
        own_readings: when this worker reads while it is alone.
        placed_permits: returns the permits of this worker's placed calls that can be going on.
    """

    def __init__(
        self,
        names: Names,
        settings: Settings,
        speak: Callable[[], None],
        *,
        share: int | None = None,
        trunks: Sequence[Trunk] = (),
    ) -> None:
        super().__init__(settings)
        self.granted = 0
        self.heard = HeardSnapshots()
        self.alone = False
        self.next_number = 1
        self.outbox = Outbox(settings.at_once, self.heard if settings.ends_free else None)
        self.others_wait = False
        self.valid_until = -math.inf
        self.trunks = SharedTrunks(trunks, settings)
        self.dated: Snapshot | None = None
        self.readings: Readings[Any]
        self._names = names
        self._speak = speak
        self._share = share
        self._own = MemoryLedger(settings.times, trunks, inbound_apart=settings.inbound_apart)
        self.own_readings = self._own.readings
        self.placed_permits = self._own.placed_permits
        self._held = Held()

    # What the gate asks --------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest snapshot, or None."""
        return self._own.snapshot

    @property
    def inbound(self) -> int | None:
        """Others' calls, by the server's latest answer; None if all are counted together."""
        own = None if self.reads_alone or not self.inbound_apart else self._news.own
        return None if own is None else max(0, self.in_use - own)

    @property
    def reads_alone(self) -> bool:
        """Whether this worker uses its own ledger, and needs its own snapshots."""
        return self.alone and self._share is not None

    @property
    def in_use(self) -> int:
        """The usage in calls; without a snapshot, only its own part."""
        if self.alone and self._share is not None:
            return self._own.in_use
        snapshot = self._own.snapshot
        return self._told_in_use(0 if snapshot is None else snapshot.limits.current_concurrency)

    @property
    def spent(self) -> bool:
        """Whether the snapshot in hand authorises nothing."""
        return self._own.spent if self.reads_alone else self._news.spent

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None if the counts decide."""
        if self.reads_alone:
            return "local share" if self._share_is_used_up else self._own.withheld
        if self.alone:
            return "ledger away"
        if self._news.lost:
            return "ledger lost"
        return "snapshot spent" if self._news.spent else None

    @property
    def _share_is_used_up(self) -> bool:
        return self._own.unsettled() >= (self._share or 0)

    @property
    def outdated(self) -> bool:
        """Whether this worker knows that the count changed since the snapshot in hand began."""
        return self.spent or self._own.outdated

    def usage(self) -> Usage:
        """The usage by the server's latest answer, or by the worker's own ledger if it is alone."""
        own = self._own.usage()
        return replace(own, counted=None) if self.reads_alone else self._told_usage(own.reported)

    def unsettled(self) -> int:
        """Calls of this worker's own that are dialling or uncounted."""
        return self._own.unsettled()

    def uncounted_calls(self) -> Mapping[str, int]:
        """The uncounted calls of this worker by the provider's ids, the oldest first."""
        return self._own.uncounted_calls()

    def calls_in_the_way(self) -> Iterable[str]:
        """The ids of this worker's calls that are in somebody's way unless they are over."""
        yield from self._own.calls_in_the_way(self.trunks.full)
        if self.ends_free:
            yield from self._own.counted_calls()

    def lost(self, number: int, now: float) -> bool:
        """Whether the server took `number` for a placed call while it was dialling."""
        return self._held.lost(number, expired=now > self.valid_until)

    # What the gate says --------------------------------------------------------------------------

    def pace(self, trunk: str) -> Pace | None:
        """The pace of a trunk by this worker's own starts; the server knows those of others too."""
        return self._own.pace(trunk)

    def due_at(self, trunk: str, now: float, *, behind: int = 0) -> float:
        """From when on a trunk's rate lets a call start; others' windows aren't known here."""
        said = self.trunks.due_at.get(trunk, now)
        return self._own.due_at(trunk, max(now, said), behind=behind)

    def calls_on(self, trunk: str, now: float) -> int:
        """Calls that can be on a trunk that takes so many, as far as this worker knows."""
        own = self._own.calls_on(trunk, now)
        return own if self.reads_alone else self.trunks.calls.get(trunk, own)

    def unstart(self, number: int, pace: Pace | None) -> None:
        """Nobody has dialled with a permit: its start, if it was charged, never was."""
        if self.trunks:
            self.trunks.due_at.clear()
            self._own.unstart(number, pace)
            self._say("unstart", number)

    def acquire(self, ceiling: int, now: float, pace: Pace | None = None) -> int:
        """Grant a permit from the share while the worker is alone; else 0, as the server grants."""
        may_give = self.reads_alone and not self._share_is_used_up
        is_due = pace is None or now >= pace.due_at
        if not (may_give and is_due and self._own.acquire(ceiling, now)):
            return 0
        number, self.next_number = self.next_number, self.next_number + 1
        if pace is not None:
            pace.start(number, now)
        self.granted += 1
        self._held.lanes[number] = ""
        self._held.alone.add(number)
        self._say("adopt", number, "")
        self._join(number, pace.trunk.name if isinstance(pace, Occupancy) else None)
        return number

    def _join(self, number: int, trunk: str | None) -> None:
        """The call of a permit that the server doesn't know of, or not any more, is on a trunk."""
        if (joining := self.trunks.joining(trunk)) is not None:
            self._say("join", number, *joining)

    def set_pause(self, lane: str | None, trunk: str | None, why: tuple[str, str] | None) -> None:
        """Pause a lane and a trunk at all gates, with an author and a reason, or resume them."""
        self._say(PAUSING, scope_key(lane, trunk), *(why or ()))

    def note_queue(self) -> None:
        """Note that a caller has joined the queue, or left it."""
        self._speak()

    def place(self, number: int, now: float) -> None:
        """The dial of a dialling permit has returned."""
        self._own.place(number, now)
        self._say("place", number, self._held.lanes.get(number, ""))

    def release(self, number: int) -> None:
        """A dialling permit gives its slot back."""
        self._own.release(number)
        self._say("release", number)
        self._forget(number)

    def withdraw(self, number: int) -> None:
        """A placed permit gives its slot back, unless a snapshot has absorbed it."""
        self._own.withdraw(number)
        self._say("withdraw", number)

    def restore(
        self, number: int, now: float, trunk: str | None = None, *, restarts: bool = True
    ) -> None:
        """A permit that gave its slot back, and its start where it `restarts`, was placed."""
        lane = self._held.lanes.get(number, "")
        self._own.restore(number, now, trunk, restarts=restarts)
        if restarts and self.trunks.pushing_back(trunk) is not None:
            self._say("restart", number, trunk_hash(trunk or ""), lane)
        self._join(number, trunk)
        self._say("place", number, lane)

    def answered(self, number: int, now: float) -> None:
        """Record that the call of a placed permit was answered."""
        self._own.answered(number, now)
        self._say("answered", number)

    def bind(self, number: int, call_id: str, now: float) -> bool:
        """Record the provider's id of a placed call; return whether that may be uncounted."""
        self._say("bind", number, self._names.call(call_id))
        return self._own.bind(number, call_id, now)

    def note_answered(self, call_id: str, now: float) -> None:
        """Record evidence that a call was answered, whichever worker placed it."""
        self._own.note_answered(call_id, now)
        self.outbox.note(NOTE_ANSWERED, self._names.call(call_id))
        self._speak()

    def note_ended(self, call_id: str, now: float, ended_after: float = -math.inf) -> None:
        """Record evidence that a call is over, whichever worker placed it."""
        self._own.note_ended(call_id, now, ended_after)
        self.outbox.note(NOTE_ENDED, self._names.call(call_id), ended_after)
        self._speak()

    def note_change(self, now: float) -> None:
        """Note that the provider's count has changed."""
        self._own.note_change(now)
        self._say("note_change")

    def refuse(self, now: float, number: int = 0, trunk: str | None = None) -> None:
        """The provider refused a call: nothing more until a snapshot that begins later."""
        self.see(self._news._replace(spent=True, own=-1))
        self._own.refuse(now, number, trunk)
        self._say("refuse")
        if (pushing_back := self.trunks.pushing_back(trunk)) is not None:
            self._say("push_back", number, *pushing_back)

    def note_refused(self, call_id: str) -> None:
        """Push back the trunk of a refused call that another worker placed, for all of them."""
        self._say("note_refused", self._names.call(call_id))

    def record(self, snapshot: Snapshot) -> bool:
        """Take a snapshot in; the server already has it, unless the worker is alone."""
        brought = snapshot is self.dated
        is_new = self._own.record_dated(snapshot) if brought else self._own.record(snapshot)
        if self._held.alone:
            for number in self._held.placed_alone(self.outbox.pending()):
                if not self._own.holds(number):
                    self._forget(number)
        return is_new

    def note_sleep(self, slept: float, now: float) -> None:
        """Note that the machine slept for `slept` seconds, while the worker's lease went on."""
        self.valid_until -= slept
        self.heard.forget()
        self.outbox.forget_moments()
        self._own.note_sleep(slept, now)

    # What the server answers ---------------------------------------------------------------------

    def held(self) -> list[tuple[int, str]]:
        """The permits whose end the server is not known to have heard of, with their lanes."""
        return list(self._held.lanes.items())

    def hold(self, number: int, lane: str, trunk: str | None, now: float) -> None:
        """The server has given a slot to a lane, and a start to its trunk where that is limited."""
        if trunk is not None and (pace := self._own.pace(trunk)) is not None:
            pace.start(number, now)
        self.granted += 1
        self._held.lanes[number] = lane
        self._own.in_use += 1

    def reported(self) -> None:
        """The server has heard the outbox's last batch."""
        self._held.heard(self.outbox.reported())

    def lose(self) -> dict[int, str]:
        """Note that the server counts what this worker holds as placed; return what changed by it.

        These are the permits that are dialling still, with their lanes.
        """
        return self._held.lose(self.outbox.pending())

    def _say(self, kind: str, *what: str | int) -> None:
        self.outbox.say(kind, *what)
        self._speak()

    def _forget(self, number: int) -> None:
        """Forget a permit that is over; the server need not know of it if it never did."""
        if self.outbox.forget(number):
            self._held.forget(number)
