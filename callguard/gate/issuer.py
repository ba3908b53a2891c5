"""The issuer of permits: records in the ledger what becomes of them, and reports it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from callguard.clock import Watch
from callguard.gate.calls import Calls, Issued
from callguard.gate.home import Home
from callguard.gate.queue import Queue
from callguard.gate.refusal import Judge
from callguard.gate.reporting import Reporter
from callguard.gate.states import Step
from callguard.gate.unasked import News
from callguard.ledger import Ledger
from callguard.premises import Premises
from callguard.stamps import ProviderClock

__all__ = ["Issuer"]


def _nothing(*_: object) -> None:
    """A callback that does nothing, for as long as no other is set."""


class Issuer:
    """Records what becomes of the permits of one gate.

    Every method is one step of the event loop.

    Args:
        home: the gate's event loop and state.
        watch: the gate's clock.
        ledger: the gate's ledger.
        judge: decides what a failed dial means.
        reporter: has the gate's id, and reports to its listener.
        premises: hears what may speak against them.
        clock: the provider's clock, by which calls are stamped.

    Attributes:
        home: the gate's event loop and state.
        judge: decides what a failed dial means.
        ledger: the gate's ledger.
        teller: reports to the gate's listeners; None without any.
        tells_placed: whether a listener hears of placed calls.
        time: the event loop's clock, in seconds.
        room_made: called when a slot may have become free.
        count_changed: called when the provider's count has changed.
        was_refused: called when the ledger has heard that the provider refused a call.
        came_unasked: called with the id and the news of a call when evidence comes unasked.
        refusals: calls that the provider refused so far.
    """

    def __init__(
        self,
        home: Home,
        watch: Watch,
        ledger: Ledger,
        judge: Judge,
        reporter: Reporter,
        premises: Premises,
        clock: ProviderClock,
    ) -> None:
        self.home: Final = home
        self.judge: Final = judge
        self.room_made: Callable[[], None] = _nothing
        self.count_changed: Callable[[], None] = _nothing
        self.was_refused: Callable[[], None] = _nothing
        self.came_unasked: Callable[[str, News], None] = _nothing
        self.refusals = 0
        self._watch = watch
        self._clock = clock
        watch.on_sleep(clock.forget)
        self.time: Final = watch.time
        self.ledger: Final = ledger
        self._give_back: Final[Mapping[Step, Callable[[int], None]]] = {
            "release": ledger.release,
            "withdraw": ledger.withdraw,
        }
        self._gate = reporter.gate
        self.teller: Final = reporter.teller
        self.tells_placed: Final = self.teller is not None and self.teller.hears_placed
        self._calls = Calls()
        self._premises = premises
        self._histories = premises.histories

    def id_of(self, number: int) -> str:
        """The id of a permit, which is unique in the world."""
        return f"{self._gate}-{number}"

    def lost(self, number: int) -> bool:
        """Whether the permit's slot may have been granted to another call."""
        self._watch.look()
        return self.ledger.lost(number, self.time())

    def place(self, number: int, queue: Queue, call_id: str | None = None) -> None:
        """Record that a dial has returned, or was given up, so that its call counts as placed."""
        time = self.time
        self.ledger.place(number, time())
        if self.tells_placed:
            self._tell_placed(number, queue, call_id)
        if queue.fills:
            self.room_made()  # there is none yet, but from now on it is known when at the latest

    def restore(self, number: int, queue: Queue, call_id: str | None, *, restarts: bool) -> None:
        """Count a call again that had given its slot back: it was placed after all.

        Its start is charged again if it `restarts`: that was given back as well.
        """
        self.ledger.restore(number, self.time(), queue.limited, restarts=restarts)
        self._premises.gave_back(self.time())
        if self.teller is not None:
            self._tell_placed(number, queue, call_id)

    def bind(self, number: int, permit: Issued, call_id: str) -> None:
        """Record the provider's id of a placed call."""
        if self.teller is not None or permit.trunk is not None:
            self._calls.bind(call_id, permit)
        now = self.time()
        is_uncounted = self.ledger.bind(number, call_id, now)
        if is_uncounted and self._histories is not None:
            self._histories.bound(call_id, number, now)
        self.room_made()  # evidence about the call may have come before its id

    def answered(self, number: int) -> None:
        """Record that a placed call was answered."""
        self.ledger.answered(number, self.time())

    def cancel(self, number: int, queue: Queue, step: Step) -> None:
        """Give back the slot and the start of a permit with which nobody dialled."""
        if queue.trunk is not None:
            self.ledger.unstart(number, queue.pace)
        self.not_placed(number, queue, step)

    def not_placed(self, number: int, queue: Queue, step: Step) -> None:
        """Give back the slot of a call that was not placed."""
        self._give_back[step](number)
        queue.cancelled += 1
        if self.teller is not None:
            self.teller.cancelled(self.id_of(number), queue.lane.name)
        room_made = self.room_made
        room_made()

    def end(self, number: int, queue: Queue, call_id: str | None, step: Step | None) -> None:
        """Record that a call is over, even if it was never reported as placed."""
        if call_id is not None:
            self.came_unasked(call_id, "ended")
        if step is not None:
            self._give_back[step](number)
            self._premises.gave_back(self.time())
            if self.teller is not None:
                if step == "release":
                    self._tell_placed(number, queue, call_id)
                self._tell_ended(self.id_of(number), queue.lane.name, call_id)
            self.room_made()
        self._note_change()

    def note_end(self, call_id: str) -> None:
        """Remember the call of a permit that has ended."""
        self._calls.note_end(call_id)

    def refuse(
        self,
        number: int,
        queue: Queue,
        step: Step | None,
        status: int | None,
        permit: Issued | None = None,
    ) -> None:
        """Record that the provider refused a call, and give back its slot if it held one."""
        call_id = None if permit is None else permit.call_id
        is_news = call_id is None or self._calls.note_refusal(call_id, permit)
        if is_news:
            trunk = queue.limited
            self.ledger.refuse(self.time(), number, trunk)
            self._premises.refused(self.time(), trunk, status)
            self.was_refused()
            self.count_changed()
        if step is not None:
            self._give_back[step](number)
        if is_news:
            self._tell_refused(self.id_of(number), queue.lane.name, status, call_id)
        self.room_made()

    def leave(self, number: int, queue: Queue, error: BaseException | None) -> None:
        """Leave a block of the short form, whose permit nobody has."""
        if error is not None:
            outcome, status = self.judge.judge(error)
            if outcome == "refused":
                return self.refuse(number, queue, "release", status)
            if outcome == "not placed":
                return self.not_placed(number, queue, "release")
        return self.place(number, queue)

    def note_answered(self, call_id: str, at: float | None = None, *, asked: bool = False) -> None:
        """Take evidence that a call was answered, whoever placed it.

        `at` is the provider's time of it, and `asked` says whether the gate asked.
        """
        now = self.time()
        if not asked:
            self.came_unasked(call_id, "answered")
        if at is not None:
            self._clock.stamped(at, now)
        self.ledger.note_answered(call_id, now)
        if self._histories is not None:
            self._histories.answered(call_id, now, at)

    def note_ringing(self, call_id: str, asked: float) -> None:
        """Take evidence that a call was neither answered nor over at `asked`, or later."""
        if self._histories is not None:
            self._histories.ringing(call_id, asked)

    def note_ended(
        self, call_id: str, *, refused: bool, at: float | None = None, asked: bool = False
    ) -> None:
        """Take evidence that a call is over, whoever placed it, or that it was refused.

        `at` is the provider's time of it, and `asked` says whether the gate asked.
        """
        if not asked:
            self.came_unasked(call_id, "ended")
        now, permit = self.time(), self._calls.permit_of(call_id)
        is_refusal = refused and self._calls.note_refusal(call_id)
        if is_refusal:
            self._refuse(now, permit, call_id)
        self.ledger.note_ended(call_id, now, self._ended_after(at, now))
        if self._histories is not None:
            self._histories.ended(call_id, now, None if refused else at)
        self._premises.gave_back(now)
        permit_id, lane = (None, None) if permit is None else (permit.id, permit.lane.name)
        if is_refusal:
            self._tell_refused(permit_id, lane, None, call_id)
        elif self.teller is not None:
            self._tell_ended(permit_id, lane, call_id)
        self._note_change()
        self.room_made()

    def _ended_after(self, at: float | None, now: float) -> float:
        """The moment after which a call surely ended; minus infinity if that is unknown."""
        if at is None:
            return -math.inf
        self._watch.look()  # after a sleep our clock has to be compared anew
        self._clock.stamped(at, now)
        return self._clock.surely_after(at, now)

    def _refuse(self, now: float, permit: Issued | None, call_id: str) -> None:
        """Record a refusal that evidence showed later; the call's permit may be unknown here."""
        if permit is None:
            self.ledger.refuse(now)
            self.ledger.note_refused(call_id)
        else:
            self.ledger.refuse(now, permit.number, permit.trunk)
        self._premises.refused(now, None, None)
        self.was_refused()

    def _note_change(self) -> None:
        self.ledger.note_change(self.time())
        self.count_changed()

    def _tell_placed(self, number: int, queue: Queue, call_id: str | None) -> None:
        if self.teller is not None:
            self.teller.placed(self.id_of(number), queue.lane.name, call_id)

    def _tell_ended(self, permit_id: str | None, lane: str | None, call_id: str | None) -> None:
        is_news = call_id is None or self._calls.note_end(call_id)
        if self.teller is not None and is_news:
            self.teller.ended(permit_id, lane, call_id)

    def _tell_refused(
        self, permit_id: str | None, lane: str | None, status: int | None, call_id: str | None
    ) -> None:
        """Count and report a refusal, once for each call."""
        self.refusals += 1
        if self.teller is not None:
            self.teller.refused(permit_id, lane, status, call_id)
