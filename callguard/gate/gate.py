"""`Gate`: the public face of the parts that admit, count and report."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from callguard.arguments import (
    checked_call_id,
    checked_flag,
    checked_not_after,
    checked_patience,
    checked_seconds,
)
from callguard.errors import GateClosed, UsageError
from callguard.gate.assembly import Parts
from callguard.gate.dated import DatedPermit, Deadline
from callguard.gate.entered import EnteredAsync
from callguard.gate.observing import Observing
from callguard.gate.permit import Permit
from callguard.gate.queue import AT_ONCE, Terms
from callguard.gate.steering import Steering
from callguard.gate.turn import Turn
from callguard.gate.unique import Unique
from callguard.lanes import Lane
from callguard.trunks import DEFAULT_TRUNK, Trunk

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT

__all__ = ["Gate"]

T = TypeVar("T")


class Gate(Observing, Steering, Unique, EnteredAsync):
    """Admits exactly as many calls as fit; made by `callguard.open_gate`.

    ``async with gate:`` is the short form of ``async with gate.admit():``, for dials about which
    nothing more will be reported: it gives no permit.

    Attributes:
        id: an id that is unique in the world; the first part of every permit's id.
        workspace: a hash of the API key, or of the ledger's name if it has one, as events have it.
    """

    _how = "async with gate:"
    _advice = "its calls would be counted twice; open one in each process, on one ledger"

    def __init__(self, parts: Parts, closing: AsyncExitStack) -> None:
        self.id = parts.reporter.gate
        self.workspace = parts.reporter.workspace
        self._parts = parts
        self._closing = closing
        self._home = parts.home
        self._admissions = parts.admissions
        self._queues = parts.admissions.queues
        self._known = self._queues.known
        self._issuer = parts.issuer
        self._time = parts.watch.time
        self._ledger = parts.ledger
        self._teller = parts.reporter.teller
        by_default = any(lane.default for lane in self._queues.lanes)
        self._default = self._queues.of(None) if by_default else None
        # The numbers of the short form's permits, oldest first. Nobody has seen these permits, so
        # they are alike, and leaving a block may give up any of them: blocks of one task need not
        # be nested, and the task that leaves a block need not be the one that entered it.
        self._unheld: deque[int] = deque()

    def __repr__(self) -> str:
        closed = "draining" if self._home.draining else "closed"
        state = closed if self._home.open_in is None else "open"
        return f"<Gate {self.id}, {state}, {self._parts.ledger.usage()}>"

    def admit(
        self,
        lane: Lane | str | None = None,
        *,
        trunk: Trunk | str | None = DEFAULT_TRUNK,
        timeout: float | None = None,
        not_after: datetime | None = None,
    ) -> Permit:
        """Enter the gate, after waiting in the queue until the call fits.

        ``async with gate.admit() as permit:`` gives a `Permit`. Cancelling the wait leaves nothing
        behind, and a slot that was granted at that instant goes to the next in the queue.

        Args:
            lane: one of the gate's lanes, or its name; by default the default lane.
            trunk: one of the gate's trunks, or its name; by default the default trunk. None for a
                call without a trunk, such as a web call, for which no rate is documented.
            timeout: seconds to wait in the queue at most, unless the lane's `max_wait` is shorter;
                0 to not wait, None to wait for any time.
            not_after: the moment after which the call must not be admitted, such as the end of the
                hours in which this lead may be called, with a time zone. The earlier of this and
                `timeout` ends the wait. The wall clock is read at this call only, so setting it
                later changes nothing.

        Raises:
            AdmissionTimeout: the wait took too long, or the moment had passed.
            QueueFull: the lane's queue has reached its maximum length.
            LimitsRejected: the provider refused the key, twice in a row, while this waited.
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
            TypeError: `timeout` is not a number, or `not_after` is not a datetime.
            ValueError: `timeout` is negative or NaN, or `not_after` has no time zone.
        """
        queue = self._default
        if queue is None or lane is not None or trunk is not DEFAULT_TRUNK:
            try:
                queue = self._known[lane][trunk]
            except (KeyError, TypeError):
                queue = self._queues.of(lane, trunk)
        if timeout is None and not_after is None:
            return Permit(self._admissions, queue)
        terms = Terms(checked_patience("timeout", timeout))
        deadline = self._deadline(not_after)
        if deadline is None:
            return Permit(self._admissions, queue, terms)
        return DatedPermit(self._admissions, queue, terms, deadline)

    def _deadline(self, not_after: datetime | None) -> Deadline | None:
        if not_after is None:
            return None
        return Deadline.of(checked_not_after("not_after", not_after), self._parts.watch.clock)

    def try_admit(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Permit:
        """Enter the gate without waiting in the queue.

        ``async with gate.try_admit() as permit:`` gives a `Permit`. If a reading is due that may
        show room, this waits for it first. Cancelling that leaves nothing behind.

        Args:
            lane: one of the gate's lanes, or its name; by default the default lane.
            trunk: one of the gate's trunks, or its name; by default the default trunk. None for a
                call without a trunk, such as a web call, for which no rate is documented.

        Raises:
            NoHeadroom: there is no room for the call, the trunk isn't due, or there is a pause.
            LimitsUnavailable: there is no snapshot that may be trusted.
            LimitsRejected: the provider refused the key.
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
        """
        return Permit(self._admissions, self._queues.of(lane, trunk), AT_ONCE)

    def turn(
        self, lane: Lane | str | None = None, *, trunk: Trunk | str | None = DEFAULT_TRUNK
    ) -> Turn:
        """A position in the queue for a caller that may leave and come back; see `Turn`.

        Raises:
            UsageError: the gate has no such lane or trunk.
        """
        return Turn(self._admissions, self._queues.of(lane, trunk))

    def note_answered(self, call_id: str, *, at: float | None = None) -> None:
        """Record that a call was answered, whoever placed it, from any source.

        This may be called from any thread, any number of times, in any order with `note_ended`, and
        before the dial of the call has returned.

        Args:
            call_id: the provider's id of the call.
            at: when that was by the provider's own record, in seconds on its clock; None if
                unknown. The gate uses it to watch the premises of its promise, and for no decision.

        Raises:
            TypeError: `call_id` is not text, or `at` is not a number.
            ValueError: `call_id` can't be an id, or `at` is negative or not finite.
        """
        checked_call_id(call_id)
        _check_moment(at)
        if self._home.elsewhere():
            self._home.hand_over(self.note_answered, call_id, at=at)
            return
        self._issuer.note_answered(call_id, at)

    def note_ended(self, call_id: str, *, refused: bool = False, at: float | None = None) -> None:
        """Record that a call is over, whoever placed it, from any source.

        A slot that the call still held goes to the next in the queue; otherwise the next reading
        is brought forward, because the count has changed. This may be called from any thread, any
        number of times, and before the dial of the call has returned.

        Args:
            call_id: the provider's id of the call.
            refused: whether the provider refused the call for lack of room.
            at: as in `note_answered`.

        Raises:
            TypeError: `call_id` is not text, or `at` is not a number.
            ValueError: `call_id` can't be an id, or `at` is negative or not finite.
        """
        checked_call_id(call_id)
        checked_flag("refused", refused)
        _check_moment(at)
        if self._home.elsewhere():
            self._home.hand_over(self.note_ended, call_id, refused=refused, at=at)
            return
        self._issuer.note_ended(call_id, refused=refused, at=at)

    async def place(
        self,
        dial: Callable[[Permit], Awaitable[T]],
        *,
        lane: Lane | str | None = None,
        trunk: Trunk | str | None = DEFAULT_TRUNK,
        timeout: float | None = None,
        not_after: datetime | None = None,
        attempts: int | StopBaseT = 10,
        give_up_after: float = 60.0,
        idempotent: bool = False,
    ) -> T:
        """Place a call through the gate: enter it, dial, and record the call's id.

        A refused call (a status of 429 from the provider, or a call that it ended at once for lack
        of room) returns to its position in the queue, and is dialled again on a later snapshot. Any
        other error is raised. If it is the provider's own answer that nothing was placed (a 4xx
        other than 408, 409 and 425), the slot is given back. After an unknown outcome (a timeout, a
        status of 500 or above, a broken connection) the call may be placed, so it is dialled again
        only if `dial` is idempotent, and then under the same permit.

        Cancelling this cancels `dial`; its call counts as placed.

        Args:
            dial: places the call: any callable that takes the permit and returns an awaitable. The
                call's id is read from its result's ``.call_id`` or ``["call_id"]``.
            lane: one of the gate's lanes, or its name; by default the default lane.
            trunk: one of the gate's trunks, or its name; by default the default trunk. None for a
                call without a trunk, such as a web call, for which no rate is documented.
            timeout: seconds to wait in the queue at most, over all attempts.
            not_after: the moment after which nothing is dialled, the first time or again; see
                `admit`.
            attempts: how often to dial before giving up a refused call; 1 to dial once only. Or a
                stop strategy of tenacity, which then decides alone.
            give_up_after: seconds since the first dial within which a refused call is not given up,
                so that a short spell of refusals doesn't use up the attempts. 0 for `attempts`
                alone.
            idempotent: whether `dial` uses `permit.id` as the provider's idempotency key, so that
                dialling again can't place a second call.

        Returns:
            The result of `dial`.

        Raises:
            AdmissionError: there was no slot in time; see `admit`.
            GateClosed: the gate is closed, or is closed while this waits in the queue.
            TypeError: an argument has the wrong type, or `dial` didn't return an awaitable, which
                counts as placed.
            ValueError: `timeout` or `give_up_after` is negative or NaN, or `not_after` has no
                time zone.
            Exception: the last exception of `dial`.
        """
        from callguard.gate.dialling import Dialling  # brings tenacity

        patience = checked_patience("timeout", timeout)
        checked_flag("idempotent", idempotent)
        queue = self._queues.of(lane, trunk)
        give_up_after = checked_seconds(
            "give_up_after", give_up_after, above_zero=False, finite=False
        )
        deadline = self._deadline(not_after)
        dialling = Dialling(
            self._admissions, queue, patience, attempts, idempotent, give_up_after, deadline
        )
        return await dialling.place(dial)

    async def __aenter__(self) -> None:
        queue = self._default
        if queue is None:
            queue = self._queues.of(None)
        number = self._admissions.take(queue)
        if not number:
            permit = Permit(self._admissions, queue)
            await permit.__aenter__()
            number = permit.number
        self._unheld.append(number)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The oldest: if a shared ledger already counts some as placed, those are the oldest ones,
        # and the remaining permits must be those of the calls that are still being dialled.
        try:
            number = self._unheld.popleft()
        except IndexError:
            raise UsageError(
                "the gate was left more often than entered; use `async with gate:`"
            ) from None
        if error is None and not self._issuer.tells_placed:
            time = self._time
            self._ledger.place(number, time())
        else:
            self._issuer.leave(number, self._queues.of(None), error)

    async def aclose(self) -> None:
        """Close the gate: waiting callers get a `GateClosed`, and every background task is ended.

        Live calls are not touched. Closing twice is allowed. If this is cancelled, everything is
        ended nevertheless, before the cancellation is passed on.
        """
        was_open = self._home.open_in is not None or self._home.draining
        self._home.close()
        error = GateClosed("the gate was closed while this caller waited in the queue")
        self._admissions.fail(error, "closed")
        if was_open and self._teller is not None:
            self._teller.closed(self)
        await self._closing.aclose()


def _check_moment(at: float | None) -> None:
    if at is not None:
        checked_seconds("at (unless None)", at, above_zero=False)
