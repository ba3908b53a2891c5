"""A shared ledger, as the gate of one worker sees and changes them. No I/O, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from callguard.decision import Usage, Withheld
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.outbox import NOTE_ANSWERED, NOTE_ENDED, Outbox
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["Desk"]

_ENDS_DIALLING: Final = {"place", "release", "withdraw"}


class Desk:
    """A `Ledger` whose changes are told to a server, and whose view is what that answered last.

    Args:
        names: what calls are called on the server.
        times: how long things last.
        speak: called when there is something to tell.

    Attributes:
        alone: whether the server can't be reached.
        next_number: a number that no number has had.
        outbox: what there is to tell.
        others_wait: whether callers of other workers are in the queue.
        valid_until: when the worker's lease runs out, unless it is renewed.
    """

    def __init__(self, names: Names, times: Times, speak: Callable[[], None]) -> None:
        self.granted = 0
        self.snapshot: Snapshot | None = None
        self.alone = False
        self.next_number = 1
        self.outbox = Outbox()
        self.others_wait = False
        self.valid_until = -math.inf
        self._names = names
        self._counted_after = times.counted_after
        self._counter_lag = times.counter_lag
        self._speak = speak
        self._dialling = 0
        self._uncounted = 0
        self._spent = False
        self._ledger_lost = False
        self._changed_at = -math.inf
        # Permits whose end has not been heard by the server, with their lanes.
        self._held: dict[int, str] = {}
        # Those of them that were given without the server, which hasn't heard of them yet.
        self._given_alone: set[int] = set()
        self._lost: set[int] = set()
        # The own calls that may be uncounted still, and when they surely aren't.
        self._asked_until: dict[str, float] = {}
        self._call_of: dict[int, str] = {}

    # What the gate says and asks -----------------------------------------------------------------

    @property
    def in_use(self) -> int:
        """The usage in calls, without the reported part where there is no snapshot yet."""
        usage = self.usage()
        return usage.dialling + usage.uncounted + (usage.reported or 0)

    @property
    def spent(self) -> bool:
        """Whether the snapshot in hand authorises nothing."""
        return self._spent

    @property
    def ledger_lost(self) -> bool:
        """Whether the snapshot in hand authorises nothing because the ledger is new or was lost."""
        return self._ledger_lost

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None where the counts decide."""
        if self.alone:
            return "ledger away"
        if self._ledger_lost:
            return "ledger lost"
        return "snapshot spent" if self._spent else None

    @property
    def reads_alone(self) -> bool:
        """Whether this worker needs readings of its own: never, because alone it gives nothing."""
        return False

    @property
    def outdated(self) -> bool:
        """Whether this worker knows of a change since the snapshot in hand began."""
        snapshot = self.snapshot
        return self.spent or (snapshot is not None and self._changed_at >= snapshot.began)

    def usage(self) -> Usage:
        """The usage as the server told it last."""
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        return Usage(reported, self._dialling, self._uncounted)

    def uncounted_calls(self) -> Iterable[str]:
        """The provider's ids of this worker's calls that may be uncounted, the oldest first."""
        return iter(self._asked_until)

    def acquire(self, ceiling: int, now: float) -> int:  # noqa: ARG002
        """0: only the server gives slots."""
        return 0

    def note_queue(self) -> None:
        """Somebody has joined the line, or left it."""
        self._speak()

    def place(self, number: int, now: float) -> None:  # noqa: ARG002
        """The dial of a dialling permit has returned."""
        self._say("place", number, self._held.get(number, ""))

    def release(self, number: int) -> None:
        """A dialling permit gives its slot back."""
        self._say("release", number)

    def withdraw(self, number: int) -> None:
        """A placed permit gives its slot back, unless a snapshot has absorbed it."""
        self._forget_call(number)
        self._say("withdraw", number)

    def restore(self, number: int, now: float) -> None:
        """A permit that gave its slot back was placed after all."""
        self.place(number, now)

    def answered(self, number: int, now: float) -> None:
        """The call of a placed permit was answered."""
        self._expect(self._call_of.get(number), now)
        self._say("answered", number)

    def bind(self, number: int, call_id: str, now: float) -> None:
        """The call of a placed permit has the provider's id `call_id`."""
        self._asked_until[call_id] = now + self._counted_after
        self._call_of[number] = call_id
        self._say("bind", number, self._names.call(call_id))

    def note_answered(self, call_id: str, now: float) -> None:
        """Evidence that a call was answered, whichever worker placed it."""
        self._expect(call_id, now)
        self._note(NOTE_ANSWERED, call_id)

    def note_ended(self, call_id: str, now: float) -> None:  # noqa: ARG002
        """Evidence that a call is over, whichever worker placed it."""
        self._asked_until.pop(call_id, None)
        self._note(NOTE_ENDED, call_id)

    def note_change(self, now: float) -> None:
        """The count is not what it was."""
        self._changed_at = now
        self._say("note_change")

    def refuse(self, now: float) -> None:  # noqa: ARG002
        """The provider refused a call: nothing more until a snapshot that begins later."""
        self._spent = True
        self._say("refuse")

    def record(self, snapshot: Snapshot) -> bool:
        """Take a snapshot into view; the server has it already."""
        if self.snapshot is not None and snapshot.began <= self.snapshot.began:
            return False
        self.snapshot = snapshot
        for number, call_id in list(self._call_of.items()):
            if self._asked_until.get(call_id, -math.inf) < snapshot.began:
                self._forget_call(number)
        return True

    def note_sleep(self, slept: float, now: float) -> None:  # noqa: ARG002
        """The machine slept for `slept` seconds; the worker's lease ran on."""
        self.valid_until -= slept
        if self.snapshot is not None:
            self.snapshot = self.snapshot.aged(slept)

    def lost(self, number: int, now: float) -> bool:
        """Whether the server took `number` for a placed call while it was dialling."""
        if number in self._given_alone:
            return False
        return number in self._lost or (number in self._held and now > self.valid_until)

    # What the server answers ---------------------------------------------------------------------

    def held(self) -> list[tuple[int, str]]:
        """The permits whose end the server has not heard, with their lanes."""
        return list(self._held.items())

    def hold(self, number: int, lane: str) -> None:
        """The server has given a place to a lane."""
        self.granted += 1
        self._held[number] = lane

    def told(self) -> None:
        """The server has heard what the outbox said."""
        for happening in self.outbox.told():
            if happening[0] in _ENDS_DIALLING:
                self._held.pop(int(happening[1]), None)
            elif happening[0] == "adopt":
                self._given_alone.discard(int(happening[1]))

    def lose(self) -> dict[int, str]:
        """The server has taken what is held for placed calls.

        Returns:
            What is dialling still, with the lanes, and was not lost before.
        """
        safe = {said[1] for said in self.outbox.pending() if said[0] in _ENDS_DIALLING}
        safe |= self._given_alone | self._lost
        lost = {number: lane for number, lane in self._held.items() if number not in safe}
        self._lost.update(lost)
        return lost

    def see(self, counts: Sequence[int], *, spent: bool, lost: bool) -> None:
        """What the server counts, other than what is reported."""
        self._dialling, self._uncounted = counts
        self._spent = spent
        self._ledger_lost = lost

    def _say(self, kind: str, *what: str | int) -> None:
        self.outbox.say(kind, *what)
        self._speak()

    def _note(self, kind: str, call_id: str) -> None:
        self.outbox.note(kind, self._names.call(call_id))
        self._speak()

    def _expect(self, call_id: str | None, answered_at: float) -> None:
        """One of the own calls was answered: the counter shows it soon."""
        if call_id in self._asked_until:
            soon = answered_at + self._counter_lag
            self._asked_until[call_id] = min(self._asked_until[call_id], soon)

    def _forget_call(self, number: int) -> None:
        call_id = self._call_of.pop(number, None)
        if call_id is not None:
            self._asked_until.pop(call_id, None)
