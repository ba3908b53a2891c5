"""The gate: waiters, order, wake-ups and lifetime.

Three facts hold after every method here, and the rest follows from them:

- Nobody waits who could go: whatever makes room (a reading, a slot given back) ends in
  `_admit_waiting`. So a newcomer that finds room has overtaken nobody.
- A place is taken in the same step that finds it free (`Ledger.acquire`, or a server's script), and
  belongs to a permit from then on.
- While somebody waits, a reading is under way or its timer is set.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import uuid
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from callguard.arguments import checked_call_id, checked_flag, checked_patience
from callguard.clock import Watch, clock_of
from callguard.decision import Decision, Outage, decide
from callguard.errors import (
    AdmissionTimeout,
    CallGuardError,
    GateClosed,
    LedgerUnavailable,
    LimitsUnavailable,
    NoHeadroom,
    QueueFull,
    UsageError,
)
from callguard.events import (
    Admitted,
    Cancelled,
    Ended,
    LeftQueue,
    Listener,
    Placed,
    Queued,
    Refused,
    TimedOut,
)
from callguard.fetcher import CallState
from callguard.gate.admission import Admission, ImmediateAdmission
from callguard.gate.asking import Asker
from callguard.gate.calls import Calls
from callguard.gate.dialling import Dialling
from callguard.gate.entered import EnteredAsync
from callguard.gate.home import Home
from callguard.gate.permit import Permit
from callguard.gate.reading import Fetcher, Reader
from callguard.gate.refusal import Judge
from callguard.gate.reporting import Reporter
from callguard.gate.statistics import GateStatistics
from callguard.gate.unique import Unique
from callguard.gate.waiting import Line, Lines, Waiter, shorter
from callguard.lanes import Lane
from callguard.ledger import Ledger, Times
from callguard.limits import Snapshot
from callguard.showing import shown

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT

__all__ = ["Gate"]

OPENS_WITHIN: Final = 2.0
"""Seconds that opening waits for the first snapshot: longer than a provider takes to answer that is
well, and short for somebody who starts a program. Our own choice."""

T = TypeVar("T")

logger = logging.getLogger("callguard")


class Gate(Unique, EnteredAsync):
    """Admits exactly as many calls as fit; made by `callguard.open_gate`.

    ``async with gate:`` is the short form of ``async with gate.admit():``, for dials of which no
    more will be said: it gives no permit.

    Attributes:
        id: unique in the world; the first part of every permit's id.
    """

    _how = "async with gate:"
    _advice = "its calls would be counted twice; open one in each process, on one ledger"

    def __init__(
        self,
        fetcher: Fetcher,
        ledger: Ledger,
        *,
        lanes: Sequence[Lane],
        times: Times,
        judge: Judge,
        listener: Listener | None,
        workspace: str,
        ask: Callable[[str], Awaitable[CallState]] | None = None,
        gate_id: str | None = None,
        consult: Callable[[], Awaitable[None]] | None = None,
        watch: Watch | None = None,
        turn_at: Callable[[], float] = lambda: -math.inf,
    ) -> None:
        self.id = gate_id or uuid.uuid4().hex
        self._home = Home()
        self._loop = self._home.loop
        self._open_in: asyncio.AbstractEventLoop | None = self._loop
        self._time = clock_of(self._loop)
        if watch is None:
            watch = Watch(self._loop)
            watch.tell(ledger.note_sleep)
        self._watch = watch
        self._max_age = times.max_age
        self._judge = judge
        self._ledger = ledger
        self._consult = consult
        self._lines = Lines(lanes)
        self._default = next((line for line in self._lines if line.lane.default), None)
        self._reporter = Reporter(listener, self.id, workspace)
        self._names = self._reporter.names
        self._listens = listener is not None
        self._calls = Calls()
        self._reader = Reader(
            fetcher,
            ttl=times.ttl,
            min_interval=times.min_interval,
            begins=self._watch.look,
            taken=self._note_snapshot,
            failed=self._note_failure,
            wanted=lambda: self._lines.anyone or self._ledger.others_wait,
            turn_at=turn_at,
        )
        self._asker = None if ask is None else Asker(ask, self.note_started, self.note_ended)
        # The permits of the short form, the oldest first. Nobody has seen them, so they are alike,
        # and a block that is left may give up any: blocks of one task need not be nested, and the
        # task that leaves one need not be the one that entered it.
        self._unheld: deque[Permit] = deque()
        self._refusals = 0
        self._timeouts = 0

    def __repr__(self) -> str:
        state = "closed" if self._open_in is None else "open"
        return f"<Gate {self.id}, {state}, {self._ledger.usage()}>"

    def admit(self, lane: Lane | str | None = None, *, timeout: float | None = None) -> Admission:
        """Enter the gate, after waiting in the queue for as long as it takes.

        ``async with gate.admit() as permit:`` gives a `Permit`. Cancelling the wait leaves nothing
        behind, and a slot that was granted at that instant goes to the next in the queue.

        Args:
            lane: one of the gate's lanes, or its name; the default one if not given.
            timeout: seconds to wait in the queue at most, unless the lane's `max_wait` is shorter.
                0 is now or never, None as long as it takes.

        Raises:
            AdmissionTimeout: the time was up.
            QueueFull: the lane's line is as long as it may be.
            LimitsRejected: the provider refused the key, twice in a row, while this waited.
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: the gate has no such lane, or belongs to another event loop.
            TypeError: `timeout` is no number.
            ValueError: `timeout` is negative or NaN.
        """
        return Admission(self, self._line(lane), checked_patience("timeout", timeout))

    def try_admit(self, lane: Lane | str | None = None) -> ImmediateAdmission:
        """Enter the gate without waiting in the queue.

        ``async with gate.try_admit() as permit:`` gives a `Permit`. Where a reading is due that
        might show room, it is waited for first. Cancelling that leaves nothing behind.

        Args:
            lane: one of the gate's lanes, or its name; the default one if not given.

        Raises:
            NoHeadroom: no room for one more call.
            LimitsUnavailable: there is no snapshot that may be trusted.
            LimitsRejected: the provider refused the key.
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: the gate has no such lane, or belongs to another event loop.
        """
        return ImmediateAdmission(self, self._line(lane))

    def explain(self, lane: Lane | str | None = None) -> Decision:
        """Whether a call would be admitted on `lane` now, and why or why not.

        Raises:
            GateClosed: the gate is closed.
            UsageError: the gate has no such lane, or belongs to another event loop.
        """
        self._check_open()
        return self._decide(self._line(lane))

    def statistics(self) -> GateStatistics:
        """A frozen picture of the gate; also of a closed one.

        Raises:
            UsageError: the gate belongs to another event loop.
        """
        if self._open_in is not None:
            self._home.check()
        self._watch.look()
        snapshot = self._ledger.snapshot
        decisions = {line.lane.name: self._decide(line) for line in self._lines}
        return GateStatistics(
            usage=self._ledger.usage(),
            ceilings={name: made.ceilings for name, made in decisions.items()},
            headroom={name: made.headroom for name, made in decisions.items()},
            waiting={line.lane.name: len(line) for line in self._lines},
            snapshot_age=None if snapshot is None else self._time() - snapshot.began,
            admitted=self._ledger.granted,
            refused=self._refusals,
            timed_out=self._timeouts,
            readings=self._reporter.readings,
            outage=self._outage(),
        )

    def note_started(self, call_id: str) -> None:
        """Take note that a call was answered, whoever placed it, and wherever that is known from.

        May be said from any thread, any number of times, in any order with `note_ended`, and before
        the dial of the call has returned.

        Args:
            call_id: the provider's id of the call.

        Raises:
            TypeError: `call_id` is no text.
            ValueError: `call_id` is a text that can't be an id.
        """
        checked_call_id(call_id)
        if self._home.hands_over(self.note_started, call_id):
            return
        self._ledger.note_answered(call_id, self._time())

    def note_ended(self, call_id: str, *, refused: bool = False) -> None:
        """Take note that a call is over, whoever placed it, and wherever that is known from.

        A place that the call still held goes to the next in the queue; otherwise the next reading
        is brought forward, because the count has changed. May be said from any thread, any number
        of times, and before the dial of the call has returned.

        Args:
            call_id: the provider's id of the call.
            refused: whether the provider refused the call for want of room.

        Raises:
            TypeError: `call_id` is no text.
            ValueError: `call_id` is a text that can't be an id.
        """
        checked_call_id(call_id)
        checked_flag("refused", refused)
        if self._home.hands_over(self.note_ended, call_id, refused=refused):
            return
        now = self._time()
        self._ledger.note_ended(call_id, now)
        if refused and self._calls.note_refusal(call_id):
            self._ledger.refuse(now)
            self._tell_refused(*self._calls.names(call_id), None, call_id)
        elif self._listens:
            self._tell_ended(*self._calls.names(call_id), call_id)
        self._note_change()
        self._admit_waiting()

    async def place(
        self,
        dial: Callable[[Permit], Awaitable[T]],
        *,
        lane: Lane | str | None = None,
        timeout: float | None = None,
        attempts: int | StopBaseT = 10,
        idempotent: bool = False,
    ) -> T:
        """Place a call through the gate: enter, dial, and take note of the call's id.

        A refused call (a status of 429 from the provider, or a call that it gave up at once for
        want of room) goes back into the queue at its old place and is dialled again on a later
        snapshot. Any other error passes through. One that says that nothing was placed (the
        provider's own 4xx, but for 408, 409 and 425) gives its slot back. An unknown outcome (a
        timeout, a status of 500 or above, a broken connection) may have placed the call, so it is
        dialled again only if `dial` is idempotent, and then under the same permit.

        Cancelling this cancels `dial`; its call counts as placed.

        Args:
            dial: places the call: any callable that takes the permit and returns an awaitable. Its
                result is looked at for ``.call_id`` or ``["call_id"]``.
            lane: one of the gate's lanes, or its name; the default one if not given.
            timeout: seconds to wait in the queue at most, over all attempts.
            attempts: how often to dial at most, or one of tenacity's strategies to stop.
            idempotent: whether `dial` uses `permit.id` as the provider's idempotency key, so that
                dialling again can't place a second call.

        Returns:
            What `dial` returned.

        Raises:
            AdmissionError: no place in time; see `admit`.
            GateClosed: the gate is closed, or is closed while this waits in the queue.
            TypeError: an argument of the wrong type; or `dial` returned nothing that can be
                awaited, which counts as placed.
            ValueError: `timeout` is negative or NaN.
            Exception: what `dial` raised last.
        """
        patience = checked_patience("timeout", timeout)
        checked_flag("idempotent", idempotent)
        return await Dialling(self, self._line(lane), patience, attempts, idempotent).place(dial)

    async def __aenter__(self) -> None:
        line = self._default
        if line is None:
            line = self._default_line()
        permit = self._take(line)
        if permit is None:
            permit = await self._wait(line)
        self._unheld.append(permit)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._unheld:
            raise UsageError("the gate was left more often than entered; use `async with gate:`")
        # The oldest: if a shared ledger took some for placed calls, it was the oldest that they
        # took, and the ones that stay must stand for the calls that are still being dialled.
        self._unheld.popleft()._leave(error)

    async def _open(self) -> None:
        """Read the limits, or open without: an outage doesn't keep anybody from starting.

        Raises:
            LimitsRejected: the provider refused the key.
        """
        await self._reader.first(within=OPENS_WITHIN)
        if self._reader.final is not None:
            raise self._reader.final

    async def _close(self) -> None:
        """Fail the waiters, and end the reading under way."""
        self._open_in = None
        self._fail_waiting(
            GateClosed("the gate was closed while this caller waited in the queue"), "closed"
        )
        await self._reader.aclose()
        if self._asker is not None:
            await self._asker.aclose()

    def _check_open(self) -> None:
        if self._open_in is None:
            raise GateClosed("the gate is closed; use it inside of `async with open_gate()`")
        self._home.check()

    def _line(self, lane: Lane | str | None) -> Line:
        if lane is None:
            return self._default_line()
        name = lane.name if isinstance(lane, Lane) else lane
        if not isinstance(name, str):
            raise TypeError(
                f"lane must be one of the gate's lanes or its name, got {shown(lane)}; seconds to "
                "wait are timeout=..."
            )
        if name not in self._lines:
            raise UsageError(
                f"no lane {shown(name)}, only {self._known()}; name it in open_gate(lanes=...)"
            )
        line = self._lines[name]
        if isinstance(lane, Lane) and lane != line.lane:
            raise UsageError(f"the gate was opened with {line.lane}, which is not {lane}")
        return line

    def _default_line(self) -> Line:
        if self._default is None:
            raise UsageError(
                f"the gate has lanes, and none is the default: name one of {self._known()}, as in "
                "gate.admit(lane), or say Lane(..., default=True) of one of them"
            )
        return self._default

    def _known(self) -> str:
        return ", ".join(repr(line.lane.name) for line in self._lines)

    def _take(self, line: Line) -> Permit | None:
        """A permit if one more call fits now; else None, and nothing has changed."""
        if self._open_in is not _get_running_loop():
            self._check_open()
        now = (
            self._watch.clock() - self._watch.lead
        )  # the loop's stands still while the machine sleeps
        number = self._ledger.acquire(line.ceiling, now)
        if not number:
            return None
        permit = Permit(self, number, line.lane, line.ceilings, self._ledger.in_use)
        try:
            if now > self._reader.due_at:
                self._reader.want()
            if self._listens:
                self._tell_admitted(permit, waited=0.0)
        except BaseException:
            permit.cancel()  # the caller never gets it
            raise
        return permit

    async def _take_or_deny(self, line: Line) -> Permit:
        permit = await self._take_now(line)
        if permit is None:
            await self._reader.renew()
            permit = await self._take_now(line)
        if permit is None:
            raise self._denial(line)
        return permit

    async def _take_now(self, line: Line) -> Permit | None:
        """A permit if one more call fits by what the ledger says now, wherever it is kept."""
        permit = self._take(line)
        if permit is not None or self._consult is None:
            return permit
        waiter = self._waiter()
        try:
            self._join(line, waiter)
            await self._consult()
            if waiter.turn.done():
                return waiter.turn.result()
        except BaseException:
            self._leave(line, waiter)
            raise
        self._leave(line, waiter)
        return None

    async def _wait(
        self, line: Line, timeout: float | None = None, ticket: int | None = None
    ) -> Permit:
        most = shorter(timeout, line.lane.max_wait)
        may_not_wait = most is not None and most <= 0
        comes_back = ticket is not None
        if line.full and not comes_back:
            await asyncio.sleep(0)  # who was cancelled by now is queued until its task runs
        if may_not_wait or (line.full and not comes_back):
            permit = await self._take_now(line)
            if permit is not None:
                return permit
            if may_not_wait:
                raise self._timed_out(line, 0.0)
            raise QueueFull(self._decide(line), self._retry_after())
        waiter = self._waiter(ticket)
        timer: asyncio.TimerHandle | None = None
        # Whatever is raised from here on, a listener's error or a cancellation, nobody may be left
        # in the queue who doesn't wait: a slot that came to such a one would never be given back.
        try:
            self._join(line, waiter)
            if most is not None:
                timer = self._loop.call_later(most, self._expire, line, waiter)
            if self._listens:
                waiter.queued = True
                self._reporter.tell(Queued(line.lane.name, len(line), **self._names))
            self._reader.want()
            return await waiter.turn
        except BaseException:
            self._leave(line, waiter)
            if waiter.waits:
                self._tell_left(line, waiter, "cancelled")
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _waiter(self, ticket: int | None = None) -> Waiter:
        ticket = self._lines.ticket() if ticket is None else ticket
        return Waiter(ticket, self._time(), self._loop.create_future())

    def _join(self, line: Line, waiter: Waiter) -> None:
        line.join(waiter)
        self._ledger.note_queue()

    def _leave(self, line: Line, waiter: Waiter) -> None:
        """Give up a place in the queue, and the slot that was granted at this very moment."""
        if line.leave(waiter):
            self._ledger.note_queue()
        if waiter.granted is not None:
            waiter.granted.cancel()

    def _admit_waiting(self) -> None:
        """Admit everyone in the queue who fits: the one place where a waiter is granted.

        The listener hears of it when all are: whoever it might send to the gate overtakes nobody.
        """
        now = self._watch.clock() - self._watch.lead
        granted = []
        while (line := self._lines.next_to_go(self._ledger.in_use)) is not None:
            waiter = line.first
            number = 0 if waiter.turn.done() else self._ledger.acquire(line.ceiling, now)
            if not (number or waiter.turn.done()):
                break
            line.pop()
            if number:
                self._grant(line, waiter, number, self._ledger.in_use)
                granted.append(waiter)
        if self._listens:
            for waiter in granted:
                self._tell_granted(waiter)

    def _grant(self, line: Line, waiter: Waiter, number: int, usage: int) -> None:
        waiter.granted = Permit(self, number, line.lane, line.ceilings, usage)
        waiter.turn.set_result(waiter.granted)

    def _grant_from_afar(self, line: Line, number: int, usage: int) -> None:
        """A shared ledger has given a place to whoever is first in `line` by now."""
        while line:
            waiter = line.pop()
            if not waiter.turn.done():
                self._grant(line, waiter, number, usage)
                if self._listens:
                    self._tell_granted(waiter)
                return
        self._ledger.release(number)

    def _tell_granted(self, waiter: Waiter) -> None:
        if waiter.granted is not None:
            self._tell_admitted(waiter.granted, waited=self._time() - waiter.since)

    def _tell_admitted(self, permit: Permit, waited: float) -> None:
        self._reporter.tell(
            Admitted(permit.id, permit.lane.name, permit.tier, waited, **self._names)
        )

    def _expire(self, line: Line, waiter: Waiter) -> None:
        if waiter.turn.done():
            return
        line.leave(waiter)
        self._ledger.note_queue()
        waiter.turn.set_exception(self._timed_out(line, self._time() - waiter.since))

    def _timed_out(self, line: Line, waited: float) -> AdmissionTimeout:
        self._timeouts += 1
        self._reporter.tell(TimedOut(line.lane.name, waited, **self._names))
        return AdmissionTimeout(self._decide(line), self._retry_after())

    def _fail_waiting(self, error: CallGuardError, why: Literal["closed", "rejected"]) -> None:
        failed = []
        for line in self._lines:
            while line:
                waiter = line.pop()
                if not waiter.turn.done():
                    # An exception of its own for each: raising adds to an exception's traceback.
                    waiter.turn.set_exception(copy.copy(error))
                    failed.append((line, waiter))
        self._ledger.note_queue()
        for line, waiter in failed:
            self._tell_left(line, waiter, why)

    def _tell_left(
        self, line: Line, waiter: Waiter, why: Literal["cancelled", "closed", "rejected"]
    ) -> None:
        """Of who leaves the queue without a slot; of who only looked in, nobody has heard."""
        if waiter.queued:
            waited = self._time() - waiter.since
            self._reporter.tell(LeftQueue(line.lane.name, waited, why, **self._names))

    def _denial(self, line: Line) -> CallGuardError:
        if self._reader.final is not None:
            return copy.copy(self._reader.final)
        decision = self._decide(line)
        if decision.constraint in {"no snapshot", "snapshot too old"}:
            due = "" if decision.outage else "; the next reading is not due yet"
            return LimitsUnavailable(f"{decision}{due}")
        return NoHeadroom(decision, self._retry_after())

    def _decide(self, line: Line) -> Decision:
        self._watch.look()
        return decide(
            line.lane,
            self._ledger.usage(),
            self._ledger.snapshot,
            now=self._time(),
            max_age=self._max_age,
            withheld=self._ledger.withheld,
            outage=self._outage(),
        )

    def _outage(self) -> Outage | None:
        away = self._ledger.withheld == "ledger away"
        if isinstance(self._reader.error, LedgerUnavailable) and not away:
            return None  # it is back, and nobody has wanted a reading since
        return self._reader.outage()

    def _retry_after(self) -> float:
        return max(0.0, self._reader.due_at - self._time())

    def _note_snapshot(self, snapshot: Snapshot, duration: float) -> None:
        self._watch.look()
        before = self._ledger.snapshot
        is_new = self._ledger.record(snapshot)
        if is_new:
            self._reader.recovered(snapshot)
            for line in self._lines:
                line.apply(snapshot.limits)
            self._admit_waiting()
        if self._ledger.outdated:
            self._reader.hasten()
        if not is_new:
            return
        if self._asker is not None and self._lines.anyone:
            self._asker.ask(self._ledger.uncounted_calls())
        self._reporter.reading_taken(snapshot, before, duration)

    def _read_for_others(self) -> None:
        if self._open_in is not None:
            self._reader.want()

    def _note_failure(self, error: CallGuardError, duration: float) -> None:
        now = self._time()
        snapshot = self._ledger.snapshot
        age = None if snapshot is None else now - snapshot.began
        self._reporter.reading_failed(error, now, duration, age)
        if self._reader.final is not None:
            self._fail_waiting(error, "rejected")

    def _lost(self, number: int) -> bool:
        self._watch.look()
        return self._ledger.lost(number, self._time())

    def _place(self, permit: Permit) -> None:
        self._ledger.place(permit._number, self._time())
        if self._listens:
            self._tell_placed(permit)

    def _restore(self, permit: Permit) -> None:
        self._ledger.restore(permit._number, self._time())
        if self._listens:
            self._tell_placed(permit)

    def _bind(self, permit: Permit, call_id: str) -> None:
        if permit._state == "ended":
            self._calls.note_end(call_id)
            return
        if self._listens:
            self._calls.bind(call_id, permit)
        self._ledger.bind(permit._number, call_id, self._time())
        self._admit_waiting()

    def _answered(self, number: int) -> None:
        self._ledger.answered(number, self._time())

    def _note_change(self) -> None:
        """The count is not what it was: the next reading is brought forward."""
        self._ledger.note_change(self._time())
        self._reader.hasten()

    def _cancel(self, permit: Permit, *, placed: bool) -> None:
        """A call was not dialled, though leaving the block may have said that it was `placed`."""
        self._give_back(permit, placed=placed)
        if self._listens:
            self._reporter.tell(Cancelled(permit.id, permit.lane.name, **self._names))
        self._admit_waiting()

    def _end(self, permit: Permit, *, placed: bool) -> None:
        """A call is over, and perhaps nobody has said before that it was `placed`."""
        self._give_back(permit, placed=placed)
        if self._listens:
            if not placed:
                self._tell_placed(permit)
            self._tell_ended(permit.id, permit.lane.name, permit.call_id)
        self._admit_waiting()

    def _refuse(self, permit: Permit, status: int | None, *, held: bool, placed: bool) -> None:
        """The provider refused a call, which may have `held` its slot until now."""
        is_news = permit.call_id is None or self._calls.note_refusal(permit.call_id, permit)
        if is_news:
            self._ledger.refuse(self._time())
            self._reader.hasten()
        if held:
            self._give_back(permit, placed=placed)
        if is_news:
            self._tell_refused(permit.id, permit.lane.name, status, permit.call_id)
        self._admit_waiting()

    def _give_back(self, permit: Permit, *, placed: bool) -> None:
        if placed:
            self._ledger.withdraw(permit._number)
        else:
            self._ledger.release(permit._number)

    def _tell_placed(self, permit: Permit) -> None:
        self._reporter.tell(Placed(permit.id, permit.lane.name, permit.call_id, **self._names))

    def _tell_ended(self, permit_id: str | None, lane: str | None, call_id: str | None) -> None:
        if call_id is None or self._calls.note_end(call_id):
            self._reporter.tell(Ended(permit_id, lane, call_id, **self._names))

    def _tell_refused(
        self, permit_id: str | None, lane: str | None, status: int | None, call_id: str | None
    ) -> None:
        """Once for each call: more is going on than was known."""
        self._refusals += 1
        self._reporter.tell(Refused(permit_id, lane, status, call_id, **self._names))
