"""One world: a gate in front of a workspace, with faults and then without."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import itertools
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

import callguard
from tests.support.fake_network import FakeSession
from tests.support.seeded import seeded
from tests.support.virtual_time import VirtualTimeLoop
from tests.world.alarms import Alarms
from tests.world.beliefs import Beliefs
from tests.world.callers import BEGINNING, Caller
from tests.world.checkers import (
    LONGEST_PAUSE,
    Count,
    Dials,
    Order,
    Pauses,
    Rates,
    Readings,
    Scene,
    Usage,
    Violation,
    cap,
    ceiling,
)
from tests.world.coverage import features
from tests.world.deliveries import Deliveries
from tests.world.ending import lived_out, why_it_waits
from tests.world.on_trunks import OnTrunks
from tests.world.plan import (
    Cancelling,
    LanePlan,
    PausePlan,
    Plan,
    Rules,
    TrunkPlan,
    calm_rules,
    draw,
)
from tests.world.provider import DIAL_TIMEOUT, Call, Provider, Reading
from tests.world.told import Told

__all__ = ["Outcome", "WatchedLoop", "World", "live"]

CALM_CALL = 3.0
"""Seconds that a call lasts at most once the faults have ended: 1 of ringing and 2 of talk."""

READING_DEADLINE = 10.0
"""Seconds after which a reading that fails is given up (`LimitFetcher`)."""

LONGEST_BODY = 3.0 + DIAL_TIMEOUT + 8.0 + 2.5 + 10.0
"""Seconds that a caller is in its block at most once the faults have ended: it thinks, a dial from
before goes unanswered, it waits and dials again, and lingers."""

OPENING_SECONDS = 60.0
"""Seconds that all gates together take at most to open and to close."""

LONGEST_SAYING = 60.0
"""Seconds after its admission at which a caller says something of it at the latest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a world.

    Attributes:
        seconds: lived, of virtual time.
        admissions: calls admitted.
        readings: requests for the limits.
        refusals: calls that the provider refused.
        promised: whether the promise's premises held all the time.
        digest: of the trace.
        befell: how often what befell the ledger's server.
        said: how often each premise was said to be broken.
        had: what was in it, of the things that not every world has.
    """

    seed: int
    seconds: float
    admissions: int
    readings: int
    refusals: int
    promised: bool
    violations: tuple[Violation, ...]
    digest: str
    trace: tuple[str, ...]
    befell: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[str, int] = field(default_factory=dict)
    had: Sequence[str] = ()


class WatchedLoop(VirtualTimeLoop):
    """A loop that calls `before_time_passes` when all is done that can be done at an instant."""

    def __init__(self) -> None:
        self._instant = 0.0
        self.before_time_passes: Callable[[], None] = lambda: None
        super().__init__()

    @property
    def now(self) -> float:
        return self._instant

    @now.setter
    def now(self, to: float) -> None:
        if to > self._instant:
            self.before_time_passes()
        self._instant = to

    def timers_left(self) -> list[asyncio.TimerHandle]:
        """The timers that would still go off."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [timer for timer in scheduled if not timer.cancelled()]


def live(seed: int, *, keep_trace: bool = False) -> Outcome:
    """Live through the world of a seed, from its beginning to its end."""
    with seeded(seed), asyncio.Runner(loop_factory=WatchedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, WatchedLoop)
        world = World(draw(seed), loop)
        with blamed_errors(world.scene.blame), wall_clock(loop):
            try:
                runner.run(world.live())
            except Exception as error:  # noqa: BLE001, a world that breaks down is one to be told
                world.scene.blame("breakdown", repr(error))
    return world.outcome(keep_trace=keep_trace)


class World:
    """Everything in it is drawn before it begins; see `plan`."""

    def __init__(self, plan: Plan, loop: WatchedLoop) -> None:
        self.plan = plan
        self.loop = loop
        self.lines: list[str] = []
        self.provider = Provider(plan, self, loop)
        self.scene = Scene(plan, self.provider, loop.time)
        self.usage = Usage(self.scene)
        self.count = Count(self.scene)
        self.alarms = Alarms(self.scene, lambda: self.count.premises_held)
        self.beliefs = Beliefs(self.scene)
        self.rates = Rates(self.scene)
        self.on_trunks = OnTrunks(self.scene)
        self.pauses = Pauses(self.scene)
        self.order = Order(self.scene, self.rates, self.pauses)
        self.dials = Dials(self.scene)
        self.readings = Readings(self.scene)
        self.told = Told(self.scene.blame)
        self.deliveries = Deliveries(loop, self._deliver_started, self._deliver_ended)
        self.callers = [Caller(index, each, self) for index, each in enumerate(plan.callers)]
        self._by_name = {caller.name: caller for caller in self.callers}
        self._admissions = 0
        self._told = 0
        self._refusals_heard: set[tuple[str, str]] = set()
        self._refusals = 0
        self._cancelled: list[asyncio.TimerHandle | asyncio.Handle] = []

    def trace(self, line: str) -> None:
        self.lines.append(f"{self.loop.now:12.4f} {line}")

    def outcome(self, *, keep_trace: bool) -> Outcome:
        violations = tuple(self.scene.violations)
        told = [f"{each.at:12.4f} VIOLATION of {each.rule}: {each.text}" for each in violations]
        lines = [*self.lines, *told]
        return Outcome(
            seed=self.plan.seed,
            seconds=self.loop.now,
            admissions=self._admissions,
            readings=len(self.provider.readings),
            refusals=self._refusals,
            promised=self.count.premises_held,
            violations=violations,
            digest=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
            trace=tuple(lines) if keep_trace else (),
            said=self.alarms.said,
            had=(*features(self.plan), *self.beliefs.had),
        )

    # Its course ----------------------------------------------------------------------------------

    async def live(self) -> None:
        """The faults, the calm after them, and a look at what is left."""
        self.loop.before_time_passes = self._look
        self.loop.set_exception_handler(self._note_loose_end)
        await lived_out(self._course(), self._longest(), self.scene.blame, self._who_waits)
        gc.collect()
        self._look_for_leftovers("")
        self.told.ends()

    def _longest(self) -> float:
        """Seconds that it takes at most if everybody ends who should."""
        calm = patience(self.plan) + longest_round(self.plan) + READING_DEADLINE
        return self.plan.lasts + calm + LONGEST_SAYING + OPENING_SECONDS

    def _who_waits(self) -> list[str]:
        about = [
            each.task.get_name() for each in self.callers if each.task and not each.task.done()
        ]
        gate = self.scene.gate
        return [f"{about}: {'the gate is not open' if gate is None else why_it_waits(gate)}"]

    async def _course(self) -> None:
        self._set_up()
        for closes, reopens in self.plan.closings:
            async with self._opened() as gate:
                if self.plan.drains is not None:
                    await self._until(closes - self.plan.drains)
                    await self._drain(gate, closes)
                await self._until(closes)
            await self._until(reopens)
        async with self._opened() as gate:
            await self._until(self.plan.lasts)
            await self._become_calm(gate)
        await asyncio.sleep(LONGEST_SAYING + 1.0)

    async def _drain(self, gate: callguard.Gate, until: float) -> None:
        """Drain the gate, for as long as there is until it closes."""
        self.trace("the gate drains")
        draining = self.loop.create_task(gate.drain())
        self.scene.drains = True
        self.readings.wanted()
        done, _ = await asyncio.wait([draining], timeout=max(0.0, until - self.loop.now))
        if not done:
            draining.cancel()
            await asyncio.wait([draining])
            return
        self.trace("the gate has drained")
        usage = gate.statistics().usage
        if draining.exception() is not None or (usage.dialling, usage.uncounted) != (0, 0):
            self.scene.blame("draining", f"{draining.exception()!r}, and the usage is {usage}")

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[callguard.Gate]:
        while True:
            try:
                async with self._gate() as gate:
                    self.scene.opened(gate)
                    self.beliefs.opened()
                    self.rates.opened()
                    self.pauses.opened()
                    self.on_trunks.opened()
                    self._told = 0
                    self.trace("the gate is open")
                    try:
                        yield gate
                    finally:
                        self.scene.gate = None
                        if self.plan.gate.listens:
                            self.told.closes(gate)
                        self.trace("the gate closes")
            except callguard.LimitsRejected:
                self.readings.rejected()
                await asyncio.sleep(1.0)
            else:
                self._look_for_leftovers("callguard")
                return

    @asynccontextmanager
    async def _gate(self) -> AsyncIterator[callguard.Gate]:
        told = self.plan.gate
        self.readings.opened()
        async with callguard.open_gate(
            "key_test",
            session=FakeSession(self.provider.answer, self.provider.list_calls),
            lanes=[lane_of(lane) for lane in told.lanes],
            cps=told.trunks[0].cps,
            trunks=[trunk_of(trunk) for trunk in told.trunks[1:]],
            ttl=told.ttl,
            max_age=told.max_age,
            counts_ringing=told.counts_ringing,
            ring_limit=told.ring_limit,
            counter_lag=told.counter_lag,
            min_interval=told.min_interval,
            reserved_inbound="outbound" if told.inbound_apart else "total",
            ends_free_at_once=told.ends_free,
            listener=self._hear if told.listens else None,
            track="ask" if told.asks else None,
        ) as gate:
            yield gate

    def _set_up(self) -> None:
        plan, loop = self.plan, self.loop
        for caller, theirs in zip(self.callers, plan.callers, strict=True):
            loop.call_at(min(theirs.arrives, plan.lasts), self._send, caller, theirs.cancelled)
        for at, rules in plan.rules[1:]:
            loop.call_at(at, self._change_rules, rules)
        for pause in plan.pauses:
            loop.call_at(pause.begins, self._pause, pause)
            loop.call_at(pause.ends, self._resume, pause.lane, pause.trunk)
        for at in plan.others:
            loop.call_at(at, self._somebody_else_calls)
        for number, at in enumerate(plan.strays):
            loop.call_at(at, self._deliver_stray, f"stray_{number}")

    def _send(self, caller: Caller, cancelled: Cancelling | None) -> None:
        caller.task = task = self.loop.create_task(caller.live(), name=caller.name)
        if cancelled is None:
            return
        if cancelled.at == "seconds":
            self._cancelled.append(self.loop.call_later(cancelled.count, self._cancel, task))
        elif cancelled.at == "turns":
            self._cancel_after(int(cancelled.count), task)

    def _cancel_after(self, turns: int, task: asyncio.Task[None]) -> None:
        if turns:
            self.loop.call_soon(self._cancel_after, turns - 1, task)
        else:
            self._cancel(task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        self.order.gives_up(task.get_name())
        task.cancel()

    def _change_rules(self, rules: Rules) -> None:
        before = self.provider.rules
        self.trace(f"rules: {rules}")
        self.provider.rules = rules
        # Where inbound calls are counted apart, all calls have one ceiling, own calls another.
        heights = (cap, ceiling) if self.plan.gate.inbound_apart else (ceiling,)
        for height, lane in itertools.product(heights, self.plan.gate.lanes):
            if height(rules, lane) < height(before, lane):
                self.count.premises_end()

    def _pause(self, plan: PausePlan) -> None:
        gate = self.scene.gate
        if gate is not None and not self.scene.drains and plan.begins < plan.ends:
            self.trace(f"paused: {plan.lane} on {plan.trunk}")
            gate.pause(plan.lane, plan.trunk)
            self.pauses.held.add((plan.lane, plan.trunk))

    def _resume(self, lane: str | None, trunk: str | None) -> None:
        gate = self.scene.gate
        if gate is not None and not self.scene.drains:
            self.trace(f"resumed: {lane} on {trunk}")
            was_paused = (lane, trunk) in self.pauses.held
            self.pauses.held.discard((lane, trunk))
            self.readings.wanted()
            if gate.resume(lane, trunk) != was_paused:
                self.scene.blame("paused", f"{lane} on {trunk} was not as it was said to be")

    def _somebody_else_calls(self) -> None:
        if not self.plan.others_keep_to_reserve or self.count.room_for_others():
            self.provider.call_by_somebody_else()

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.loop.now))

    # The calm ------------------------------------------------------------------------------------

    async def _become_calm(self, gate: callguard.Gate) -> None:
        waiting = [caller.task for caller in self.callers if caller.task is not None]
        waiting = [task for task in waiting if not task.done()]
        rules = calm_rules(self.plan, len(waiting))
        self.trace(f"calm, {len(waiting)} are about; {rules}")
        self.deliveries.end()
        for timer in self._cancelled:
            timer.cancel()
        for caller in self.callers:
            caller.awaits_grant = False
        self._change_rules(rules)
        for lane, trunk in sorted(self.pauses.held, key=str):
            self._resume(lane, trunk)
        self.provider.become_calm(rules)
        await self._let_in(waiting)
        await self._return_to_zero(gate)

    async def _let_in(self, waiting: list[asyncio.Task[None]]) -> None:
        if not waiting:
            return
        bound = patience(self.plan)
        _, late = await asyncio.wait(waiting, timeout=bound)
        if late:
            names = sorted(task.get_name() for task in late)
            self.scene.blame("liveness", f"after {bound} s there still wait {names}")
        for task in late:
            task.cancel()

    async def _return_to_zero(self, gate: callguard.Gate) -> None:
        """A reading that begins when every call is over and visible finds nothing in the ledger."""
        await asyncio.sleep(longest_round(self.plan))
        self.readings.wanted()
        try:
            async with gate.try_admit(trunk=None) as permit:
                self._enter_as_probe(permit)
                permit.cancel()
        except callguard.CallGuardError as error:
            self.scene.blame("liveness", f"an empty gate admits nobody: {error}")
        await asyncio.sleep(READING_DEADLINE)
        statistics = gate.statistics()
        usage = statistics.usage
        if (usage.reported, usage.dialling, usage.uncounted, usage.ended) != (0, 0, 0, 0):
            self.scene.blame("ledger", f"nobody calls, and the usage is {usage}")
        if any(statistics.waiting.values()):
            self.scene.blame("ledger", f"nobody waits, and queued are {dict(statistics.waiting)}")

    def _enter_as_probe(self, permit: callguard.Permit) -> None:
        self.order.enters("the probe", permit.id)

    def _look_for_leftovers(self, whose: str) -> None:
        """No task and no timer is left whose name begins so."""
        me = asyncio.current_task()
        names = [task.get_name() for task in asyncio.all_tasks() if task is not me]
        names += [_owner(timer) for timer in self.loop.timers_left()]
        if left := sorted(name for name in names if name.startswith(whose)):
            self.scene.blame("leftovers", f"{left}")

    # What happens --------------------------------------------------------------------------------

    def call_began(self, call: Call) -> None:
        whose = self._named(call.key) if call.key else "somebody else"
        self.trace(f"{call.id} begins, of {whose}")
        self.dials.began(call)
        self.count.check()
        self.usage.check()
        if call.key and self.loop.now < self.plan.misleads_until:
            self.provider.call_in_step_with(call)

    def call_answered(self, call: Call) -> None:
        self.trace(f"{call.id} is answered")
        self.deliveries.call_answered(call)

    def call_ended(self, call: Call) -> None:
        self.trace(f"{call.id} is over")
        self.deliveries.call_ended(call)

    def dial_refused(self, key: str, *, for_room: bool) -> None:
        self.trace(f"refused: {self._named(key)}")
        self._refusals += 1
        self.alarms.refused(for_room=for_room)
        self.count.check()
        if for_room:
            self.beliefs.refused(key)
        if for_room and self.count.premises_held:
            self.scene.blame("promise", "a call was refused for want of room")

    def reading_began(self, reading: Reading) -> None:
        self.trace(f"reading {reading.serial} begins")
        self.readings.began(reading)

    def reading_over(self, reading: Reading) -> None:
        self.trace(f"reading {reading.serial} {reading.outcome}: {sorted(reading.counted)}")

    def call_told(self, call: Call) -> None:
        """The gate has asked what became of a call, and hears now that it is over."""
        self.scene.changed_at = self.loop.now
        if call.refused:
            self.scene.perhaps_refused_at = self.loop.now
            if self.scene.gate is not None:
                self._refusals_heard.add((self.scene.gate.id, call.id))

    def _hear(self, event: callguard.events.Event) -> None:
        self.told.hear(event)
        self.on_trunks.told(event)
        if isinstance(event, callguard.events.Admitted):
            self._note_admission(event)
        elif isinstance(event, callguard.events.Placed):
            self.rates.placed(event.permit_id)
        elif isinstance(event, callguard.events.Cancelled):
            self.rates.cancelled(event.permit_id)
        elif isinstance(event, callguard.events.Refused):
            self.rates.refused(event.permit_id)
        elif isinstance(event, callguard.events.GivenUp):
            self.trace(f"given up: {event.setting}")
            self._note_given_up(event)
        elif isinstance(event, callguard.events.RingingLearnt):
            self.trace(f"learnt: ringing is {'' if event.counted else 'not '}counted")
            self.beliefs.learnt(counted=event.counted)
        elif isinstance(event, callguard.events.PremiseBroken):
            self.trace(f"broken: {event.premise}, said {event.said}, seen {event.seen}")
            self.alarms.broken(event)

    def _note_given_up(self, event: callguard.events.GivenUp) -> None:
        """Note it of the gate that is open; one that is closed already may hear of a refusal."""
        if self.scene.gate is None or event.gate != self.scene.gate.id:
            return
        if event.setting == "counts_ringing":
            self.beliefs.gave_up()
        else:
            self.scene.gave_up = True

    def _note_admission(self, event: callguard.events.Admitted) -> None:
        gate, lane = self.scene.gate, self.scene.lanes[event.lane]
        if gate is None:
            self.scene.blame("lifetime", "a gate that isn't open lets somebody in")
            return
        self._admissions += 1
        self._told += 1
        statistics = gate.statistics()
        usage, untold = statistics.usage, statistics.admitted - self._told
        # All that fit are admitted before any is told of: this one came before those untold.
        total = usage.dialling + usage.uncounted + (usage.reported or 0) - usage.ended - untold
        self.trace(f"admitted {self._named(event.permit_id)} on {event.lane} to {total}")
        reading = self.scene.reading()
        self.readings.wanted()
        self.dials.admitted(event.permit_id)
        self.beliefs.admitted(event.permit_id)
        self.pauses.admitted(event.permit_id)
        self.rates.admitted(event.permit_id, event.trunk)
        self.on_trunks.admitted(event.permit_id, event.trunk)
        self.count.admitted(lane, total, reading)
        if reading is None or reading.rules is None:
            return
        self._check_tier(event, total, reading.rules)
        who = self.order.admitted(event.permit_id, lane, event.trunk, total, reading.rules)
        if who is not None and (caller := self._by_name[who]).awaits_grant and caller.task:
            self.trace(f"{who} is cancelled at the grant")
            self._cancel(caller.task)

    def _check_tier(self, event: callguard.events.Admitted, usage: int, rules: Rules) -> None:
        plain = rules.limit - rules.reserved_inbound
        if self.scene.apart and plain < usage <= rules.limit:
            return  # it depends on whose calls those are
        if event.tier != ("normal" if usage <= plain else "burst"):
            self.scene.blame("tier", f"{event.tier} at usage {usage}, normal up to {plain}")

    def _named(self, key: str) -> str:
        """A permit, without the part of its id that differs from run to run."""
        return f"permit {key.rpartition('-')[2]}"

    def _deliver_started(self, call: Call) -> None:
        if self.scene.gate is not None:
            self.trace(f"news: {call.id} was answered")
            self.scene.gate.note_answered(call.id, at=self.provider.recorded(call.answered_at))

    def _deliver_ended(self, call: Call) -> None:
        if self.scene.gate is None:
            return
        self.trace(f"news: {call.id} is over")
        self.scene.changed_at = self.loop.now
        if call.refused and (self.scene.gate.id, call.id) not in self._refusals_heard:
            # Delivered once more, or asked about before, it says nothing of what was read since.
            self._refusals_heard.add((self.scene.gate.id, call.id))
            self.scene.refused_at = self.scene.perhaps_refused_at = self.loop.now
        at = self.provider.recorded(call.ended_at)
        self.scene.gate.note_ended(call.id, refused=call.refused, at=at)

    def _deliver_stray(self, call_id: str) -> None:
        if self.scene.gate is not None:
            self.scene.changed_at = self.loop.now
            self.scene.gate.note_answered(call_id)
            self.scene.gate.note_ended(call_id)

    def _look(self) -> None:
        """All is done that can be done at this instant."""
        self.usage.check()
        self.usage.check_ends()
        if self.plan.gate.listens:
            self.on_trunks.check()
        self.order.check()
        if self.order.anyone or self.scene.drains:
            self.readings.wanted()

    def _note_loose_end(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.scene.blame("loose end", f"{context.get('message')}: {context.get('exception')!r}")


def _owner(timer: asyncio.TimerHandle) -> str:
    """The module of what a timer would call."""
    callback: object = timer._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", callback)
    return type(owner).__module__ if hasattr(callback, "__self__") else str(callback)


def longest_round(plan: Plan) -> float:
    """Seconds after which, without faults, a slot is free again that was given; at most.

    The caller leaves its block after `LONGEST_BODY`. Its call is surely visible `counted_after`
    later, and over `CALM_CALL` after it began; the counter lags by `counter_lag`. The next reading
    begins within a `ttl`, and is on its way for the longest latency.
    """
    gate = plan.gate
    slowest = max(there + back for there, back in plan.latencies)
    seen = max(gate.counted_after, CALM_CALL + gate.counter_lag)
    return LONGEST_BODY + seen + gate.ttl + 2 * slowest + 1.0


def patience(plan: Plan) -> float:
    """Seconds after the end of the faults within which everybody is admitted.

    A reading that had begun is given up after `READING_DEADLINE`, and the next comes after a `ttl`
    or what the provider asked for. What was dialled before is off the ledger one round later. From
    then on at least half of those who wait are admitted at once (`calm_rules`), so that all are
    after three rounds; one more is for calls that are refused in the first, whose reading was of
    before. Where trunks have rates, one may be pausing, and then they start one by one. Where one
    takes so many calls at once, and nobody tells of their ends, each has to last as long as it can.
    """
    wait = READING_DEADLINE + max(plan.gate.ttl, plan.retry_after)
    apart = max(trunk.span / trunk.most for trunk in plan.gate.trunks)
    rate = LONGEST_PAUSE + len(plan.callers) * apart if apart else 0.0
    return wait + rate + _turns_on_trunks(plan) + 5 * longest_round(plan)


def _turns_on_trunks(plan: Plan) -> float:
    callers = len(plan.callers) + 1
    return max(
        math.ceil(callers / trunk.calls)
        * (plan.gate.ring_limit + trunk.longest_call + LONGEST_BODY)
        if trunk.calls
        else 0.0
        for trunk in plan.gate.trunks
    )


def trunk_of(plan: TrunkPlan) -> callguard.Trunk:
    return callguard.Trunk(
        plan.name,
        cps=plan.cps,
        window=plan.window,
        calls=plan.calls,
        longest_call=plan.longest_call,
    )


def lane_of(plan: LanePlan) -> callguard.Lane:
    return callguard.Lane(
        plan.name,
        priority=plan.priority,
        reserve=plan.reserve,
        burst=plan.burst,
        max_wait=plan.max_wait,
        max_waiting=plan.max_waiting,
        default=plan.name == "default",
    )


@contextmanager
def wall_clock(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """The wall clock shows what has passed in the world, where the library looks at it."""

    class WallClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return (BEGINNING + timedelta(seconds=loop.time())).astimezone(tz)

    with patch("callguard.gate.dated.datetime", WallClock):
        yield


class _ErrorsAreBlamed(logging.Handler):
    def __init__(self, blame: Callable[[str, str], None]) -> None:
        super().__init__(logging.ERROR)
        self._blame = blame

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._blame("logged", f"{record.getMessage()}: {error!r}")


@contextmanager
def blamed_errors(blame: Callable[[str, str], None]) -> Iterator[None]:
    """What the library logs as an error is one."""
    logger = logging.getLogger("callguard")
    handler, propagates = _ErrorsAreBlamed(blame), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
