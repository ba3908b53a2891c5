"""Shared books, as the gate of one worker sees and changes them. No I/O, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from callguard.decision import Usage, Withheld
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.outbox import CALL_ENDED, CALL_STARTED, Outbox
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["Desk"]

_ENDS_DISPATCHING: Final = {"place", "release", "drop"}


class Desk:
    """A `Ledger` whose changes are told to a server, and whose view is what that answered last.

    Args:
        names: what calls are called on the server.
        times: how long things last.
        speak: called when there is something to tell.

    Attributes:
        alone: whether the server can't be reached.
        next_lease: a number that no lease has had.
        outbox: what there is to tell.
        others_wait: whether callers of other workers are in line.
        valid_until: when the worker's lease runs out, unless it is renewed.
    """

    def __init__(self, names: Names, times: Times, speak: Callable[[], None]) -> None:
        self.leases = 0
        self.snapshot: Snapshot | None = None
        self.alone = False
        self.next_lease = 1
        self.outbox = Outbox()
        self.others_wait = False
        self.valid_until = -math.inf
        self._names = names
        self._visible_after = times.visible_after
        self._counter_lag = times.counter_lag
        self._speak = speak
        self._dispatching = 0
        self._unseen = 0
        self._spent = False
        self._ledger_lost = False
        self._changed_at = -math.inf
        # Leases whose end has not been heard by the server, with their lanes.
        self._held: dict[int, str] = {}
        # Those of them that were given without the server, which hasn't heard of them yet.
        self._given_alone: set[int] = set()
        self._lost: set[int] = set()
        # The own calls that may be unseen still, and when they surely aren't.
        self._asked_until: dict[str, float] = {}
        self._call_of: dict[int, str] = {}

    # What the gate says and asks -----------------------------------------------------------------

    @property
    def in_use(self) -> int:
        """The usage in calls, without the reported part where there is no reading yet."""
        usage = self.usage()
        return usage.dispatching + usage.unseen + (usage.reported or 0)

    @property
    def spent(self) -> bool:
        """Whether the reading in hand authorises nothing."""
        return self._spent

    @property
    def ledger_lost(self) -> bool:
        """Whether the reading in hand authorises nothing because the books are new or were lost."""
        return self._ledger_lost

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None where the counts decide."""
        if self.alone:
            return "ledger away"
        if self._ledger_lost:
            return "ledger lost"
        return "reading spent" if self._spent else None

    @property
    def reads_alone(self) -> bool:
        """Whether this worker needs readings of its own: never, because alone it gives nothing."""
        return False

    @property
    def outdated(self) -> bool:
        """Whether this worker knows of a change since the reading in hand began."""
        snapshot = self.snapshot
        return self.spent or (snapshot is not None and self._changed_at >= snapshot.began)

    def usage(self) -> Usage:
        """The usage as the server told it last."""
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        return Usage(reported, self._dispatching, self._unseen)

    def unseen_calls(self) -> Iterable[str]:
        """The provider's ids of this worker's calls that may be unseen, the oldest first."""
        return iter(self._asked_until)

    def acquire(self, ceiling: int, now: float) -> int:  # noqa: ARG002
        """0: only the server gives places."""
        return 0

    def note_line(self) -> None:
        """Somebody has joined the line, or left it."""
        self._speak()

    def place(self, lease: int, now: float) -> None:  # noqa: ARG002
        """The dial of a dispatching `lease` has returned."""
        self._say("place", lease, self._held.get(lease, ""))

    def release(self, lease: int) -> None:
        """A dispatching `lease` gives its place back."""
        self._say("release", lease)

    def withdraw(self, lease: int) -> None:
        """A placed `lease` gives its place back, unless a reading has absorbed it."""
        self._forget_call(lease)
        self._say("drop", lease)

    def restore(self, lease: int, now: float) -> None:
        """A `lease` that gave its place back was placed after all."""
        self.place(lease, now)

    def answered(self, lease: int, now: float) -> None:
        """The call of a placed `lease` was answered."""
        self._expect(self._call_of.get(lease), now)
        self._say("answered", lease)

    def bind(self, lease: int, call_id: str, now: float) -> None:
        """The call of a placed `lease` has the provider's id `call_id`."""
        self._asked_until[call_id] = now + self._visible_after
        self._call_of[lease] = call_id
        self._say("bind", lease, self._names.call(call_id))

    def note_answered(self, call_id: str, now: float) -> None:
        """Evidence that a call was answered, whichever worker placed it."""
        self._expect(call_id, now)
        self._note(CALL_STARTED, call_id)

    def note_ended(self, call_id: str, now: float) -> None:  # noqa: ARG002
        """Evidence that a call is over, whichever worker placed it."""
        self._asked_until.pop(call_id, None)
        self._note(CALL_ENDED, call_id)

    def note_change(self, now: float) -> None:
        """The count is not what it was."""
        self._changed_at = now
        self._say("changed")

    def refuse(self, now: float) -> None:  # noqa: ARG002
        """The provider refused a call: nothing more until a reading that begins later."""
        self._spent = True
        self._say("refused")

    def record(self, snapshot: Snapshot) -> bool:
        """Take a reading into view; the server has it already."""
        if self.snapshot is not None and snapshot.began <= self.snapshot.began:
            return False
        self.snapshot = snapshot
        for lease, call_id in list(self._call_of.items()):
            if self._asked_until.get(call_id, -math.inf) < snapshot.began:
                self._forget_call(lease)
        return True

    def note_sleep(self, slept: float, now: float) -> None:  # noqa: ARG002
        """The machine slept for `slept` seconds; the worker's lease ran on."""
        self.valid_until -= slept
        if self.snapshot is not None:
            self.snapshot = self.snapshot.aged(slept)

    def lost(self, lease: int, now: float) -> bool:
        """Whether the server took `lease` for a placed call while it was dispatching."""
        if lease in self._given_alone:
            return False
        return lease in self._lost or (lease in self._held and now > self.valid_until)

    # What the server answers ---------------------------------------------------------------------

    def held(self) -> list[tuple[int, str]]:
        """The leases whose end the server has not heard, with their lanes."""
        return list(self._held.items())

    def hold(self, lease: int, lane: str) -> None:
        """The server has given a place to a lane."""
        self.leases += 1
        self._held[lease] = lane

    def told(self) -> None:
        """The server has heard what the outbox said."""
        for happening in self.outbox.told():
            if happening[0] in _ENDS_DISPATCHING:
                self._held.pop(int(happening[1]), None)
            elif happening[0] == "hold":
                self._given_alone.discard(int(happening[1]))

    def lose(self) -> dict[int, str]:
        """The server has taken what is held for placed calls.

        Returns:
            What is dispatching still, with the lanes, and was not lost before.
        """
        safe = {said[1] for said in self.outbox.pending() if said[0] in _ENDS_DISPATCHING}
        safe |= self._given_alone | self._lost
        lost = {lease: lane for lease, lane in self._held.items() if lease not in safe}
        self._lost.update(lost)
        return lost

    def see(self, counts: Sequence[int], *, spent: bool, lost: bool) -> None:
        """What the server counts, other than what is reported."""
        self._dispatching, self._unseen = counts
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

    def _forget_call(self, lease: int) -> None:
        call_id = self._call_of.pop(lease, None)
        if call_id is not None:
            self._asked_until.pop(call_id, None)
