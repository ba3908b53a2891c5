"""`Permit`: the caller's handle on one admission, by which it enters and reports on its call."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, NoReturn, Self

from callguard.arguments import checked_call_id
from callguard.decision import Tier
from callguard.errors import UsageError
from callguard.gate.admissions import Admissions
from callguard.gate.entered import EnteredAsync
from callguard.gate.queue import PATIENT, Queue, Terms
from callguard.gate.states import (
    AFTER,
    CANCELLED,
    DIALLING,
    ENDED,
    LEFT,
    NEW,
    REFUSED,
    WAITING,
    State,
    Step,
    Word,
)
from callguard.gate.unique import Unique
from callguard.lanes import Lane

__all__ = ["Permit"]


NORMAL: Final = "normal"


class Permit(Unique, EnteredAsync):
    """One call's way through the gate, and the reports about it.

    ``async with gate.admit() as permit:`` waits, and gives the permit once the call is admitted; it
    can be entered once. Among the reports, `ended` overrides everything else. Then come `answered`,
    `placed` and `refused`, of which the latest holds, then `cancel`, then leaving the block. Every
    method may be called any number of times, from any thread, and after the block too.

    Attributes:
        call_id: the provider's id, as passed to `placed`; None before.
    """

    __slots__ = ("_admissions", "_number", "_queue", "_state", "_terms", "_tier", "call_id")

    _advice = "it stands for one call; pass the permit itself, or its id as text"

    def __init__(self, admissions: Admissions, queue: Queue, terms: Terms = PATIENT) -> None:
        self._admissions = admissions
        self._queue = queue
        self._terms = terms
        self._state: State = NEW
        # Not set before the call is admitted, so that asking too early raises an error.
        self._number: int
        self._tier: Tier
        self.call_id: str | None = None

    def __repr__(self) -> str:
        if self._state is NEW or self._state is WAITING:
            return f"<Permit on lane {self.lane.name!r}, {self._state}>"
        return f"<Permit {self.id} on lane {self.lane.name!r}, {self.tier}, {self._state}>"

    async def __aenter__(self) -> Self:
        if self._state is not NEW:
            raise UsageError(
                "an admission is for one call and was entered before; ask the gate for one each: "
                "`async with gate.admit()`"
            )
        self._state = WAITING  # before a slot is taken: a second entry's slot would be nobody's
        admissions, queue = self._admissions, self._queue
        number = admissions.take(queue)
        if number:
            self._number = number
            self._tier = admissions.tier(queue) if queue.bursts else NORMAL
        else:
            # All in one frame, because every queued caller keeps its frame in memory.
            terms, grant = self._terms, None
            if not queue.may_wait(terms):
                arrival = admissions.queues.next_rank()  # taken now; the caller may join later
                grant = await admissions.now_or_never(queue, terms)
                if terms.rank is None:
                    terms = terms._replace(rank=arrival)
            if grant is None:
                waiter = admissions.join(queue, terms)
                try:
                    grant = await waiter.future
                except BaseException:
                    admissions.leave(waiter)
                    raise
            self._number, self._tier = grant
        self._state = DIALLING
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the block: for any reason, the call counts as placed, unless the provider says no.

        After `placed`, no exception takes that back.
        """
        if error is not None and (self._state is DIALLING or self._state is CANCELLED):
            outcome, status = self._admissions.issuer.judge.judge(error)
            if outcome == "refused":
                self.refused(status)
            elif outcome == "not placed":
                self._not_placed()
        if self._state is DIALLING:
            self._state = LEFT
            issuer, queue = self._admissions.issuer, self._queue
            if not (issuer.tells_placed or queue.fills):
                time = issuer.time
                issuer.ledger.place(self._number, time())
            else:
                issuer.place(self._number, queue)

    @property
    def id(self) -> str:
        """The permit's id, unique in the world and constant: fit for the `idempotency_key`."""
        return self._admissions.issuer.id_of(self.number)

    @property
    def number(self) -> int:
        """The permit's number at its gate: the last part of its id."""
        try:
            return self._number
        except AttributeError:
            raise self._not_entered() from None

    @property
    def lane(self) -> Lane:
        """The lane that the call is admitted on."""
        return self._queue.lane

    @property
    def trunk(self) -> str | None:
        """The name of the trunk that the call is to take; None if that is not limited."""
        return self._queue.limited

    @property
    def state(self) -> State:
        """The state of the call so far; see `callguard.gate.states`."""
        return self._state

    @property
    def tier(self) -> Tier:
        """``"normal"``, or ``"burst"`` if the call may cost burst's surcharge.

        It may if it can bring the count above the limit less the reservation for inbound calls;
        the lane's own reserve makes no difference.
        """
        try:
            return self._tier
        except AttributeError:
            raise self._not_entered() from None

    @property
    def lost(self) -> bool:
        """Whether the slot may have been given to another call before this one was dialled.

        This happens on a shared ledger if this process was silent for longer than its lease. If the
        call is dialled nevertheless, it is counted, even if that exceeds the limit; if it is not
        dialled, cancel the permit. A permit of the worker's local share (`local_share` of
        `RedisLedger`) is never lost, because nobody else was given its slot.
        """
        return self._admissions.issuer.lost(self.number)

    def placed(self, call_id: str | None = None) -> None:
        """Report that the dial has returned and the call is placed.

        Leaving the block reports the same. After `cancel` or `refused` it counts the call again,
        because the usage must never be below the truth.

        Args:
            call_id: the provider's id of the call, if known.

        Raises:
            UsageError: another id was reported before, and holds; the call is placed nevertheless.
            TypeError: `call_id` is not text; nothing was reported.
            ValueError: `call_id` can't be an id; nothing was reported.
        """
        if call_id is not None:
            checked_call_id(call_id)
        home = self._admissions.issuer.home
        if home.elsewhere():
            home.hand_over(self.placed, call_id)
            return
        before = self._state
        step = self._follow("placed")
        is_new = call_id is not None and self._learn(call_id, anew=before is REFUSED)
        if step == "place":
            self._admissions.issuer.place(self._number, self._queue, self.call_id)
        elif step == "restore":
            restarts = before is not REFUSED  # a refused dial was a start
            self._admissions.issuer.restore(
                self._number, self._queue, self.call_id, restarts=restarts
            )
        if is_new and call_id is not None:
            self._bind(call_id)

    def _learn(self, call_id: str, *, anew: bool) -> bool:
        """Record the call's id; return whether it is news. After a refusal it may change."""
        known = None if anew else self.call_id
        if known is not None and known != call_id:
            raise UsageError(
                f"permit {self.id} was placed as call {known!r}, and can't be {call_id!r} too: a "
                "permit is for one call. The first id stands; enter the gate once for each call"
            )
        self.call_id = call_id
        return known is None

    def _bind(self, call_id: str) -> None:
        if self._state is ENDED:
            self._admissions.issuer.note_end(call_id)
        else:
            self._admissions.issuer.bind(self._number, self, call_id)

    def answered(self) -> None:
        """Report that the call is placed and was answered, so the counter shows it soon."""
        home = self._admissions.issuer.home
        if home.elsewhere():
            home.hand_over(self.answered)
            return
        self.placed()
        self._admissions.issuer.answered(self._number)

    def ended(self) -> None:
        """Report that the call is over; a slot that it still held goes to the next in the queue.

        If a snapshot already counts the call, the next reading is brought forward.
        """
        home = self._admissions.issuer.home
        if home.elsewhere():
            home.hand_over(self.ended)
            return
        before = self._state
        step = self._follow("ended")
        if before is not ENDED:
            self._admissions.issuer.end(self._number, self._queue, self.call_id, step)

    def refused(self, status: int | None = None) -> None:
        """Report that the provider refused the call: its slot is free, and the snapshot is spent.

        Nothing more is admitted until a snapshot that begins later. If the provider's refusal
        leaves the block as an exception, it is reported by itself. No effect after `ended`.

        Args:
            status: the provider's status, for the event `Refused`; None if there is none.
        """
        home = self._admissions.issuer.home
        if home.elsewhere():
            home.hand_over(self.refused, status)
            return
        before = self._state
        step = self._follow("refused")
        if self._state is not before:
            self._admissions.issuer.refuse(self._number, self._queue, step, status, self)

    def cancel(self) -> None:
        """Report that the call was not dialled: its slot goes to the next in the queue at once.

        Its start is given back too, unless another start was granted on the trunk since.

        No effect after `placed`, `answered` or `ended`. Don't call this for a dial that timed out
        or was cancelled: it may have reached the provider.
        """
        home = self._admissions.issuer.home
        if home.elsewhere():
            home.hand_over(self.cancel)
            return
        step = self._follow("cancelled")
        if step is not None:
            self._admissions.issuer.cancel(self._number, self._queue, step)

    def _not_placed(self) -> None:
        """The call was dialled, and the provider says for certain that it placed none."""
        step = self._follow("cancelled")
        if step is not None:
            self._admissions.issuer.not_placed(self._number, self._queue, step)

    def _follow(self, word: Word) -> Step | None:
        """Go to the state that follows, and return the ledger's step."""
        try:
            self._state, step = AFTER[word][self._state]
        except KeyError:
            raise self._not_entered() from None
        return step

    def _not_entered(self) -> UsageError:
        return UsageError(f"there is no call before this is entered: {self._how}")

    @property
    def _how(self) -> str:  # type: ignore[override]  # it differs between the two ways in
        """The right way to enter, for errors."""
        return f"async with gate.{'admit' if self._terms.waits else 'try_admit'}() as permit:"

    # Hidden from type checkers, which report the wrong use by themselves.
    if not TYPE_CHECKING:

        def __await__(self) -> NoReturn:
            raise UsageError(f"this is entered by `async with`: {self._how}")

        def __bool__(self) -> bool:
            if self._state is NEW:
                raise UsageError(f"this is entered by `async with`: {self._how}")
            return True
