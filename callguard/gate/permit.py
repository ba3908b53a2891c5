"""The caller's handle on one admission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from callguard.arguments import checked_call_id
from callguard.decision import Ceilings, Tier
from callguard.errors import UsageError
from callguard.gate.unique import Unique
from callguard.lanes import Lane

if TYPE_CHECKING:
    from callguard.gate.gate import Gate

__all__ = ["Permit"]

State = Literal["dialling", "left", "placed", "cancelled", "refused", "ended"]

DIALLING: Final = "dialling"
LEFT: Final = "left"
PLACED: Final = "placed"
CANCELLED: Final = "cancelled"
REFUSED: Final = "refused"
ENDED: Final = "ended"


class Permit(Unique):
    """One call that has been admitted.

    What was said of it decides, not in which order: `ended` is a fact that beats all else, then
    `started`, `placed` and `refused`, of which the last stands, then `cancel`, then what leaving
    the block implies. Every method may be called any number of times, from any thread, and after
    the block too.

    Attributes:
        lane: the lane that the call was admitted on.
        call_id: the provider's id, as told to `placed`; None before.
    """

    __slots__ = ("_ceilings", "_gate", "_number", "_state", "_usage", "call_id", "lane")

    _advice = "it stands for one call; pass the permit itself, or its id as text"

    def __init__(self, gate: Gate, number: int, lane: Lane, ceilings: Ceilings, usage: int) -> None:
        self._gate = gate
        self._number = number
        self._ceilings = ceilings
        self._usage = usage
        self._state: State = DIALLING
        self.lane = lane
        self.call_id: str | None = None

    def __repr__(self) -> str:
        return f"<Permit {self.id} on lane {self.lane.name!r}, {self.tier}, {self._state}>"

    @property
    def id(self) -> str:
        """Unique in the world, the same at every look: fit for the provider's `idempotency_key`."""
        return f"{self._gate.id}-{self._number}"

    @property
    def tier(self) -> Tier:
        """``"normal"``, or ``"burst"`` if the call may cost burst's surcharge.

        That is so if it may bring the count above the limit less what is reserved for inbound
        calls; what the lane leaves free makes no difference.
        """
        return self._ceilings.tier(self._usage)

    @property
    def lost(self) -> bool:
        """Whether the slot may have been given to another call, before this one was dialled.

        So it is where the ledger is shared and this process was silent for longer than its lease.
        A call that is dialled all the same is counted, as far above the limit as that may be; one
        that is not should be cancelled. A permit of the worker's own share (`local_share` of
        `RedisLedger`) is never lost: nobody else was given its slot.
        """
        return self._gate._lost(self._number)

    def placed(self, call_id: str | None = None) -> None:
        """Say that the dial has returned and the call is placed.

        Leaving the block says the same, later. Said of a permit that was cancelled or refused, it
        counts the call again: the usage is never below the truth.

        Args:
            call_id: the provider's id of the call, if known.

        Raises:
            UsageError: another id was said before, and stands; the call is placed all the same.
            TypeError: `call_id` is no text; nothing was said then.
            ValueError: `call_id` is a text that can't be an id; likewise.
        """
        if call_id is not None:
            checked_call_id(call_id)
        if self._gate._home.hands_over(self.placed, call_id):
            return
        state = self._state
        if state is not ENDED:
            self._state = PLACED
        is_new = call_id is not None and self._learn(call_id, anew=state is REFUSED)
        if state is DIALLING:
            self._gate._place(self)
        elif state is CANCELLED or state is REFUSED:
            self._gate._restore(self)
        if is_new and call_id is not None:
            self._gate._bind(self, call_id)

    def _learn(self, call_id: str, *, anew: bool) -> bool:
        """Take the call's id; whether it is news. After a refusal it may be another call's."""
        known = None if anew else self.call_id
        if known is not None and known != call_id:
            raise UsageError(
                f"permit {self.id} was placed as call {known!r}, and can't be {call_id!r} too: a "
                "permit is for one call. The first id stands; enter the gate once for each call"
            )
        self.call_id = call_id
        return known is None

    def started(self) -> None:
        """Say that the call is placed and was answered: the counter shows it soon."""
        if self._gate._home.hands_over(self.started):
            return
        self.placed()
        self._gate._answered(self._number)

    def ended(self) -> None:
        """Say that the call is over: its slot goes to the next in the queue, if it was still held.

        Where a reading counts the call already, the next reading is brought forward.
        """
        if self._gate._home.hands_over(self.ended):
            return
        state, self._state = self._state, ENDED
        if state is DIALLING:
            self._gate._end(self, placed=False)
        elif state is LEFT or state is PLACED:
            self._gate._end(self, placed=True)
        if state is not ENDED:
            self._gate._note_change()

    def refused(self, status: int | None = None) -> None:
        """Say that the provider refused the call: its slot is free, and the snapshot is spent.

        Nothing more is admitted until a snapshot that begins later. A refusal that leaves the block
        as an exception of the provider's says this by itself. Without effect once `ended` was said.

        Args:
            status: the provider's status, for the event `Refused`; None where there is none.
        """
        if self._gate._home.hands_over(self.refused, status):
            return
        state = self._state
        if state is REFUSED or state is ENDED:
            return
        self._state = REFUSED
        held = state is not CANCELLED
        self._gate._refuse(self, status, held=held, placed=held and state is not DIALLING)

    def cancel(self) -> None:
        """Say that the call was not dialled: its slot goes to the next in the queue at once.

        Without effect once `placed`, `started` or `ended` was said. Not to be said of a dial that
        timed out or was cancelled: it may have reached the provider.
        """
        if self._gate._home.hands_over(self.cancel):
            return
        state = self._state
        if state is DIALLING:
            self._state = CANCELLED
            self._gate._cancel(self, placed=False)
        elif state is LEFT:
            self._state = CANCELLED
            self._gate._cancel(self, placed=True)

    def _leave(self, error: BaseException | None) -> None:
        """Leave the block: whatever left it, the call may be placed, unless the provider says no.

        Once `placed` was said, no exception takes that back.
        """
        if error is not None and (self._state is DIALLING or self._state is CANCELLED):
            outcome, status = self._gate._judge.judge(error)
            if outcome == "refused":
                self.refused(status)
            elif outcome == "not placed":
                self.cancel()
        if self._state is DIALLING:
            self._state = LEFT
            self._gate._place(self)
