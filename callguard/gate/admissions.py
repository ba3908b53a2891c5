"""Admission: callers take a slot at once or wait for one, and one step grants a waiting caller.

Three facts hold after every method here, and the rest follows from them:

- Nobody waits who could go: everything that makes room (a snapshot, a slot given back, a trunk that
  comes due) ends in `serve`. So a newcomer that finds room overtakes nobody, and doesn't have to
  look at the queues. Only if an alarm is due and has not rung yet, the queues are served first.
- A slot is taken in the same step that finds it free (`Ledger.acquire`, or a server's script). From
  then on it belongs to one number, which somebody has to give back or to place.
- While somebody waits, a reading is in flight or its timer is set.
"""

from __future__ import annotations

import asyncio
import copy
from asyncio import _get_running_loop
from collections.abc import Awaitable, Callable
from threading import get_ident
from typing import Final, Literal

from callguard.clock import Watch
from callguard.decision import Tier
from callguard.errors import AdmissionTimeout, CallGuardError
from callguard.gate.alarm import Alarm
from callguard.gate.explaining import Explainer
from callguard.gate.home import ASKS_THE_SYSTEM, Home
from callguard.gate.issuer import Issuer
from callguard.gate.queue import Grant, Queue, Terms, Waiter
from callguard.gate.queues import Queues
from callguard.gate.reporting import Reporter
from callguard.gate.schedule import Schedule
from callguard.ledger import Claim, Ledger
from callguard.pacing import Pace

__all__ = ["Admissions"]


class Admissions:
    """Admits the callers of one gate.

    Args:
        queues: the waiting callers.
        home: the gate's event loop and state.
        watch: the gate's clock.
        ledger: the gate's ledger.
        schedule: takes snapshots while somebody waits.
        issuer: takes back slots that a caller can't use.
        explainer: makes decisions and denials.
        reporter: reports to the gate's listener.
        consult: asks a shared ledger's server, which alone grants slots; None for a ledger in
            memory.

    Attributes:
        queues: the waiting callers.
        issuer: takes back slots that a caller can't use.
        explainer: makes decisions and denials.
        served: called after each round of the queues; None unless the gate drains.
        timeouts: callers that left because they had waited too long.
    """

    def __init__(
        self,
        queues: Queues,
        home: Home,
        watch: Watch,
        ledger: Ledger,
        schedule: Schedule,
        issuer: Issuer,
        explainer: Explainer,
        reporter: Reporter,
        consult: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.timeouts = 0
        self.served: Callable[[], None] | None = None
        self.queues: Final = queues
        self._home = home
        self._watch = watch
        self._ledger = ledger
        self._schedule = schedule
        self._readings = ledger.readings
        self.issuer: Final = issuer
        self.explainer: Final = explainer
        self._teller = teller = reporter.teller
        self._tells_admitted = teller is not None and teller.hears_admitted
        self._consult = consult
        self._alarm = Alarm(home.loop, self.serve)

    # A caller's way in -------------------------------------------------------------------------

    def take(self, queue: Queue) -> int:
        """Take a slot if one more call fits now; return its number, or 0 if nothing has changed.

        The clock is read at every call: after a callback that blocked the loop, the snapshot may
        have become too old.
        """
        home, watch = self._home, self._watch
        if ASKS_THE_SYSTEM:
            is_running = home.is_running
            is_here = get_ident() == home.thread and is_running() and home.open_in is not None
        else:
            is_here = _get_running_loop() is home.open_in
        if not is_here:
            home.check_open()
        clock = watch.clock
        now = clock() - watch.lead
        if now >= self._alarm.at:
            self._alarm.ring()
        number = self._ledger.acquire(queue.ceiling, now, queue.pace)
        if number:
            queue.admitted += 1
            if queue.bursts and self.tier(queue) == "burst":
                queue.burst += 1
            if now > self._readings.due_at or self._tells_admitted:
                self._follow_up(queue, number, now)
        return number

    def tier(self, queue: Queue) -> Tier:
        """The tier of the call that was just admitted."""
        return queue.ceilings.tier(self._ledger.in_use)

    def _follow_up(self, queue: Queue, number: int, now: float) -> None:
        try:
            if now > self._readings.due_at:
                self._schedule.want()
            if self._tells_admitted:
                self._tell_admitted(queue, number, self.tier(queue), waited=0.0)
        except BaseException:
            self.issuer.cancel(number, queue, "release")  # nobody gets it
            raise

    async def _take_or_deny(self, queue: Queue) -> Grant:
        """Take a slot for a caller that waits for nothing but a reading that is due.

        Raises:
            CallGuardError: there is no slot.
        """
        grant = await self._take_now(queue)
        if grant is None and not self.explainer.needs_no_reading(queue):
            await self._schedule.renew()
            grant = await self._take_now(queue)
        if grant is None:
            raise self.explainer.denied(queue)
        return grant

    async def _take_now(self, queue: Queue) -> Grant | None:
        """Take a slot if one more call fits by the present state of the ledger, local or shared."""
        number = self.take(queue)
        if number:
            return number, self.tier(queue)
        if self._consult is None:
            return None
        now, future = self._watch.time(), self._home.loop.create_future()
        waiter = Waiter(queue, self.queues.next_rank(), now, future)
        try:
            queue.join(waiter)
            self._ledger.note_queue()
            await self._consult()
            if waiter.future.done():
                return waiter.future.result()
        except BaseException:
            self.leave(waiter)
            raise
        self.leave(waiter)
        return None

    async def now_or_never(self, queue: Queue, terms: Terms) -> Grant | None:
        """Take a slot for a caller that can't wait; return None if it can wait after all.

        Raises:
            CallGuardError: there is no slot.
        """
        if not terms.waits:
            return await self._take_or_deny(queue)
        if queue.full and terms.rank is None:
            await asyncio.sleep(0)  # a caller that was cancelled is queued until its task runs
            self._home.check_open()
            if queue.may_wait(terms):
                number = self.take(queue)  # room made meanwhile went only to those in the queue
                return (number, self.tier(queue)) if number else None
        grant = await self._take_now(queue)
        if grant is None and queue.is_patient(terms):
            raise self.explainer.queue_full(queue)
        if grant is None:
            raise self.timed_out(queue, 0.0)
        return grant

    def join(self, queue: Queue, terms: Terms) -> Waiter:
        """Join the queue; the waiter's `future` gets the grant or an error in the end.

        A caller that stops waiting for it has to call `leave`.
        """
        rank = self.queues.next_rank() if terms.rank is None else terms.rank
        time = self._watch.time
        waiter = Waiter(queue, rank, time(), self._home.loop.create_future())
        # If anything is raised from here on, say by a listener, the waiter must not stay in the
        # queue: a slot that was granted to it would never be given back.
        try:
            queue.join(waiter)
            self._ledger.note_queue()
            most = queue.most_wait(terms)
            if most is not None:
                waiter.timer = self._home.loop.call_later(most, self._expire, waiter)
            if self._teller is not None:
                waiter.announced = True
                self._teller.queued(queue.lane.name, queue.length)
            self._schedule.want()
            if queue.pace is not None:
                self._await_rate(queue.pace, queue.ceiling)
        except BaseException:
            self.leave(waiter)
            raise
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Leave the queue, and give back a slot that was granted at this very moment.

        A caller may be cancelled after its slot was granted, but before its task has run. Nobody
        else knows of that slot, so it is passed on to the next in the queue here.
        """
        if waiter.queue.leave(waiter, self._watch.time()):
            self._ledger.note_queue()
        grant = waiter.grant
        if grant is not None:
            self.issuer.cancel(grant[0], waiter.queue, "release")
        elif not waiter.future.done() or waiter.future.cancelled():
            self._tell_left(waiter, "cancelled")

    # The queues --------------------------------------------------------------------------------

    def serve(self) -> None:
        """Admit everyone in the queues who fits.

        The listener is called after all grants, so that callers that it starts overtake nobody.
        """
        queues, ledger, watch = self.queues, self._ledger, self._watch
        clock = watch.clock
        now = clock() - watch.lead
        granted = []
        while (queue := queues.next_to_go(ledger.in_use, now)) is not None:
            waiter = queue.first()
            if waiter.future.done():  # the caller was cancelled, and its task has not run yet
                queue.leave(waiter, now)
                continue
            number = ledger.acquire(queue.ceiling, now, queue.pace)
            if not number:
                break
            tier: Tier = self.tier(queue) if queue.bursts else "normal"
            queue.leave_granted(now, tier)
            waiter.future.set_result((number, tier))
            if self._tells_admitted:
                granted.append(waiter)
        if queues.due_at < self._alarm.at:
            self._alarm.set(queues.due_at, now)
        for waiter in granted:
            self._tell_granted(waiter)
        if self.served is not None:
            self.served()

    def _await_rate(self, pace: Pace, ceiling: int) -> None:
        """Set the alarm for when a trunk is due, if only its rate is in the way.

        It may have come due since the caller found that it wasn't; then the alarm rings at once.
        """
        if self._ledger.in_use < ceiling:
            now = self._watch.clock() - self._watch.lead
            self._alarm.set(max(pace.due_at, now), now)

    def grant(self, claim: Claim, number: int, usage: int) -> None:
        """Pass a slot that a shared ledger has granted to a claim on to its first caller."""
        now = self._watch.time()
        while (queue := self.queues.next_of(claim)) is not None:
            waiter = queue.first()
            if not waiter.future.done():
                tier = queue.ceilings.tier(usage)
                queue.leave_granted(now, tier)
                waiter.future.set_result((number, tier))
                self._tell_granted(waiter)
                return
            queue.leave(waiter, now)
        trunk = claim.trunk
        self._ledger.unstart(number, None if trunk is None else self._ledger.pace(trunk.name))
        self._ledger.release(number)

    def fail(self, error: CallGuardError, why: Literal["closed", "rejected"]) -> None:
        """Raise `error` in every waiting caller."""
        self._alarm.stop()
        failed, now = [], self._watch.time()
        for queue in self.queues:
            while queue.length:
                waiter = queue.first()
                queue.leave(waiter, now)
                if not waiter.future.done():
                    # Each gets a copy, because raising an exception adds to its traceback.
                    waiter.future.set_exception(copy.copy(error))
                    failed.append(waiter)
        self._ledger.note_queue()
        for waiter in failed:
            self._tell_left(waiter, why)

    def _expire(self, waiter: Waiter) -> None:
        if waiter.future.done():
            return
        now = self._watch.time()
        waiter.queue.leave(waiter, now)
        self._ledger.note_queue()
        waited = now - waiter.since
        waiter.future.set_exception(self.timed_out(waiter.queue, waited))

    # Reports -----------------------------------------------------------------------------------

    def timed_out(self, queue: Queue, waited: float) -> AdmissionTimeout:
        """Count and report a caller that has waited too long, and return its error."""
        self.timeouts += 1
        if self._teller is not None:
            self._teller.timed_out(queue.lane.name, waited)
        return self.explainer.timed_out(queue)

    def _tell_granted(self, waiter: Waiter) -> None:
        if self._tells_admitted and waiter.grant is not None:
            number, tier = waiter.grant
            waited = self._watch.time() - waiter.since
            self._tell_admitted(waiter.queue, number, tier, waited)

    def _tell_admitted(self, queue: Queue, number: int, tier: Tier, waited: float) -> None:
        if self._teller is not None:
            permit_id, lane = self.issuer.id_of(number), queue.lane.name
            self._teller.admitted(permit_id, lane, tier, waited, queue.limited)

    def _tell_left(self, waiter: Waiter, why: Literal["cancelled", "closed", "rejected"]) -> None:
        """Report a caller that left without a slot, unless its arrival was never reported."""
        if self._teller is not None and waiter.announced:
            waited = self._watch.time() - waiter.since
            self._teller.left_queue(waiter.queue.lane.name, waited, why)
