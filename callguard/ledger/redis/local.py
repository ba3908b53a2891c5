"""A fixed share of the slots for when a shared ledger can't be reached, where a user wants that."""

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
    """A desk that keeps a ledger of its own calls beside, and goes by them while it is alone.

    Alone, it gives slots as one process would that knows of no other, and no more than `share` at
    once of which the counter knows nothing. So the count may exceed the ceiling by the shares of
    the others, and not by more.

    Args:
        names: what calls are called on the server.
        times: how long things last.
        speak: called when there is something to tell.
        share: calls that may be dialling or uncounted at once while the desk is alone.
    """

    def __init__(
        self, names: Names, times: Times, speak: Callable[[], None], *, share: int
    ) -> None:
        super().__init__(names, times, speak)
        self._share = share
        self._own = MemoryLedger(times)

    @property
    def spent(self) -> bool:
        """Whether the snapshot in hand authorises nothing."""
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
        return own.dialling + own.uncounted >= self._share

    @property
    def reads_alone(self) -> bool:
        """Whether this worker needs readings of its own."""
        return self.alone

    def usage(self) -> Usage:
        """The usage as the server told it last, or as far as it is known alone."""
        return self._own.usage() if self.alone else super().usage()

    def acquire(self, ceiling: int, now: float) -> int:
        """A permit out of the share while the desk is alone; else 0."""
        if not self.alone or self._share_is_used_up:
            return 0
        if not self._own.acquire(ceiling, now):
            return 0
        number = self.next_number
        self.next_number += 1
        super().hold(number, "")
        self._given_alone.add(number)
        self._say("adopt", number, "")
        return number

    def hold(self, number: int, lane: str) -> None:
        """The server has given a place to a lane."""
        super().hold(number, lane)
        self._own.in_use += 1

    def place(self, number: int, now: float) -> None:
        """The dial of a dialling permit has returned."""
        super().place(number, now)
        self._own.place(number, now)

    def release(self, number: int) -> None:
        """A dialling permit gives its slot back."""
        super().release(number)
        self._own.release(number)
        self._forget(number)

    def withdraw(self, number: int) -> None:
        """A placed permit gives its slot back, unless a snapshot has absorbed it."""
        super().withdraw(number)
        self._own.withdraw(number)

    def restore(self, number: int, now: float) -> None:
        """A permit that gave its slot back was placed after all."""
        super().place(number, now)
        self._own.restore(number, now)

    def answered(self, number: int, now: float) -> None:
        """The call of a placed permit was answered."""
        super().answered(number, now)
        self._own.answered(number, now)

    def bind(self, number: int, call_id: str, now: float) -> None:
        """The call of a placed permit has the provider's id `call_id`."""
        super().bind(number, call_id, now)
        self._own.bind(number, call_id, now)

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
        """The provider refused a call: nothing more until a snapshot that begins later."""
        super().refuse(now)
        self._own.refuse(now)

    def record(self, snapshot: Snapshot) -> bool:
        """Take a snapshot into view."""
        self._own.record(snapshot)
        over = {int(said[1]) for said in self.outbox.pending() if said[0] == "place"}
        for number in self._given_alone & over:
            if not self._own.is_uncounted(number):
                self._forget(number)
        return super().record(snapshot)

    def _forget(self, number: int) -> None:
        """A permit is over: the server need not hear of it if it never has."""
        if self.outbox.forget(number):
            self._given_alone.discard(number)
            self._held.pop(number, None)
