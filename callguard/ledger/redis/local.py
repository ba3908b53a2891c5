"""A fixed share of the places for when shared books can't be reached, where a user wants that."""

from __future__ import annotations

from collections.abc import Callable

from callguard.decision import Usage, Withheld
from callguard.ledger.memory import MemoryLedger
from callguard.ledger.redis.desk import Desk
from callguard.ledger.redis.keys import Names
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["DeskWithShare"]


class DeskWithShare(Desk):
    """A desk that keeps books of its own calls beside, and goes by them while it is alone.

    Alone, it gives places as one process would that knows of no other, and no more than `share` at
    once of which the counter knows nothing. So the count may exceed the ceiling by the shares of
    the others, and not by more.

    Args:
        names: what calls are called on the server.
        times: how long things last.
        speak: called when there is something to tell.
        share: calls that may be dispatching or unseen at once while the desk is alone.
    """

    def __init__(
        self, names: Names, times: Times, speak: Callable[[], None], *, share: int
    ) -> None:
        super().__init__(names, times, speak)
        self._share = share
        self._own = MemoryLedger(times)

    @property
    def spent(self) -> bool:
        """Whether the reading in hand authorises nothing."""
        return self._own.spent if self.alone else super().spent

    @property
    def withheld(self) -> Withheld | None:
        """Why no slot is given, whatever the counts; None where the counts decide."""
        if not self.alone:
            return super().withheld
        return "local share" if self._share_is_used_up else self._own.withheld

    @property
    def _share_is_used_up(self) -> bool:
        own = self._own.usage()
        return own.dispatching + own.unseen >= self._share

    @property
    def reads_alone(self) -> bool:
        """Whether this worker needs readings of its own."""
        return self.alone

    def usage(self) -> Usage:
        """The usage as the server told it last, or as far as it is known alone."""
        return self._own.usage() if self.alone else super().usage()

    def acquire(self, ceiling: int, now: float) -> int:
        """A lease out of the share while the desk is alone; else 0."""
        if not self.alone or self._share_is_used_up:
            return 0
        if not self._own.acquire(ceiling, now):
            return 0
        lease = self.next_lease
        self.next_lease += 1
        super().hold(lease, "")
        self._given_alone.add(lease)
        self._say("hold", lease, "")
        return lease

    def hold(self, lease: int, lane: str) -> None:
        """The server has given a place to a lane."""
        super().hold(lease, lane)
        self._own.in_use += 1

    def place(self, lease: int, now: float) -> None:
        """The dial of a dispatching `lease` has returned."""
        super().place(lease, now)
        self._own.place(lease, now)

    def release(self, lease: int) -> None:
        """A dispatching `lease` gives its place back."""
        super().release(lease)
        self._own.release(lease)
        self._forget(lease)

    def withdraw(self, lease: int) -> None:
        """A placed `lease` gives its place back, unless a reading has absorbed it."""
        super().withdraw(lease)
        self._own.withdraw(lease)

    def restore(self, lease: int, now: float) -> None:
        """A `lease` that gave its place back was placed after all."""
        super().place(lease, now)
        self._own.restore(lease, now)

    def answered(self, lease: int, now: float) -> None:
        """The call of a placed `lease` was answered."""
        super().answered(lease, now)
        self._own.answered(lease, now)

    def bind(self, lease: int, call_id: str, now: float) -> None:
        """The call of a placed `lease` has the provider's id `call_id`."""
        super().bind(lease, call_id, now)
        self._own.bind(lease, call_id, now)

    def note_answered(self, call_id: str, now: float) -> None:
        """Evidence that a call was answered, whichever worker placed it."""
        super().note_answered(call_id, now)
        self._own.note_answered(call_id, now)

    def note_ended(self, call_id: str, now: float) -> None:
        """Evidence that a call is over, whichever worker placed it."""
        super().note_ended(call_id, now)
        self._own.note_ended(call_id, now)

    def note_sleep(self, slept: float, now: float) -> None:
        """The machine slept for `slept` seconds, and is awake since `now`."""
        super().note_sleep(slept, now)
        self._own.note_sleep(slept, now)

    def refuse(self, now: float) -> None:
        """The provider refused a call: nothing more until a reading that begins later."""
        super().refuse(now)
        self._own.refuse(now)

    def record(self, snapshot: Snapshot) -> bool:
        """Take a reading into view."""
        self._own.record(snapshot)
        over = {int(said[1]) for said in self.outbox.pending() if said[0] == "place"}
        for lease in self._given_alone & over:
            if not self._own.is_unseen(lease):
                self._forget(lease)
        return super().record(snapshot)

    def _forget(self, lease: int) -> None:
        """A lease is over: the server need not hear of it if it never has."""
        if self.outbox.forget(lease):
            self._given_alone.discard(lease)
            self._held.pop(lease, None)
