"""Worlds of several workers on one ledger, which runs the production scripts on a real server.

Only the server's clock and its transport are replaced: the time comes from the event loop, and what
the scripts publish is delivered by it, or is not. Workers die without a word, pause, and are cut
off; exchanges are lost on the way there or back.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from redis import Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

import callguard
from callguard import RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.settings import Settings
from callguard.ledger.times import Times
from tests.support.bent_client import BentClient
from tests.support.bent_server import BentServer, Published
from tests.support.fake_network import FakeSession, Reply
from tests.support.seeded import seeded
from tests.world.alarms import Alarms
from tests.world.callers import BEGINNING
from tests.world.checkers import SLACK, Scene, ceiling
from tests.world.coverage import features, mishaps
from tests.world.ending import lived_out, why_it_waits
from tests.world.losses import Image, Losses
from tests.world.on_trunks import OnSharedTrunks
from tests.world.pauses import Kept, Scope, covers
from tests.world.plan import (
    CallerPlan,
    Failing,
    PausePlan,
    Restoration,
    SharedPlan,
    Step,
    WorkerPlan,
    calm_rules,
    draw_shared,
)
from tests.world.provider import Call, DialError, Provider, Reading, Refusal
from tests.world.starts import Starts
from tests.world.world import (
    Outcome,
    WatchedLoop,
    blamed_errors,
    lane_of,
    longest_round,
    patience,
    trunk_of,
    wall_clock,
)

__all__ = ["SharedWorld", "live_shared"]


def live_shared(seed: int, url: str, *, mishaps: bool = True, keep_trace: bool = False) -> Outcome:
    """Live through the world of several workers of a seed, on the server at `url`."""
    with (
        seeded(seed),
        Redis.from_url(url) as server,
        asyncio.Runner(loop_factory=WatchedLoop) as runner,
    ):
        loop = runner.get_loop()
        assert isinstance(loop, WatchedLoop)
        world = SharedWorld(draw_shared(seed, mishaps=mishaps), loop, server)
        with blamed_errors(world.scene.blame), wall_clock(loop):
            try:
                runner.run(world.live())
            except Exception as error:  # noqa: BLE001, a world that breaks down is one to be told
                world.scene.blame("breakdown", repr(error))
        world.server.forget()
    return world.outcome(keep_trace=keep_trace)


COUNTED = (0, 1, 4, 5)
"""The keys without which a ledger is lost: its state, workers, and both sets of permits."""


class SharedServer(BentServer):
    """The server as all workers reach it, with a look at what is in the ledger.

    Attributes:
        has_trunks_that_fill: whether calls have to be known until they are over.
        away: whether nobody reaches it.
        step: ms by which its clock is ahead.
        fails: the command of each script that fails; see `BentServer`.
    """

    def __init__(self, client: Redis, names: Names) -> None:
        super().__init__(client, names)
        self.has_trunks_that_fill = False
        self.away = False
        self.step = 0
        self.fails = ""

    def exchange(self, now: int, *request: str | bytes, fails: str = "") -> tuple[bytes, Published]:
        return super().exchange(now + self.step, *request, fails=fails or self.fails)

    def contents(self) -> tuple[dict[str, Any] | None, set[str], int]:
        """The reading in the ledger, unless they were lost since it began, and the permits that it
        doesn't stand for; and by how many calls the usage is lower, since they are over."""
        fields = ["limits", "began", "lost_until", "raw", "ended"]
        found = self.client.hmget(self.names.keys[0].decode(), fields)
        limits, began, lost_until, raw, ended = cast("list[bytes | None]", found)
        dialling, uncounted = self.names.keys[4:6]
        permits = [*self.client.zrange(dialling, 0, -1), *self.client.zrange(uncounted, 0, -1)]
        good = limits is not None and int(began or 0) > int(lost_until or 0)
        reading = json.loads(limits) if limits and good else None
        is_kept = b"." in (raw or b"")
        return reading, {permit.decode() for permit in permits}, int(ended or 0) if is_kept else 0

    def pauses(self) -> tuple[bytes | None, bytes]:
        """What is paused in the ledger, None if there is none, and in one that is begun anew."""
        found = [
            cast(
                "list[bytes | None]",
                self.client.hmget(key.decode(), ["pauses_version", "pauses", "epoch"]),
            )
            for key in self.names.keys_of_pauses
        ]
        _, latest = max((int(version or 0), text or b"{}") for version, text, _ in found)
        _, held, epoch = found[0]
        return None if epoch is None else held or b"{}", latest

    def evict(self, keys: tuple[int, ...]) -> str:
        """Lose some keys; whether nothing "counted" is gone, or a "part" of that, or "all"."""
        before = self._counted()
        self.client.delete(*(self.names.keys[key] for key in keys))
        left = self._counted()
        return "nothing" if left == before else "a part" if left else "all"

    def _counted(self) -> set[int]:
        return {key for key in COUNTED if self.client.exists(self.names.keys[key])}

    def _lives(self) -> bool:
        return bool(self.client.zcount(self.names.keys[1].decode(), 0, "+inf"))

    def left(self) -> list[str]:
        """The keys that are left, other than of what is remembered of the workspace."""
        names = (key.decode().rpartition(":")[2] for key in self.names.keys)
        kept = {"ledger", "early", "starts"} | ({"workers"} if not self._lives() else set())
        if self.has_trunks_that_fill:
            kept |= {"occupied", "calls"}  # of calls of whose end nobody has told
        found = zip(names, self.names.keys, strict=True)
        return [name for name, key in found if name not in kept and self.client.exists(key)]


class TroubledClient(BentClient):
    """One worker's connection, as bad as its plan."""

    def __init__(self, worker: Worker, plan: WorkerPlan, world: SharedWorld) -> None:
        super().__init__(world.server)
        self._worker = worker
        self._plan = plan
        self._world = world
        self._exchanges = 0
        self._bells = 0

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        """An exchange; lost where the plan says so, and not answered while cut off."""
        there, back, fault = self._plan.exchanges[self._exchanges % len(self._plan.exchanges)]
        self._exchanges += 1
        fault = "" if self._world.is_calm else fault
        await asyncio.sleep(there)
        await self._worker.awake()
        self._check_reachable(lost=fault == "request lost")
        made_at = self._world.loop.now
        answer, published = self._exchange(words)
        self._world.ring(published)
        await asyncio.sleep(back)
        await self._worker.awake()
        self._check_reachable(lost=fault == "reply lost")
        if json.loads(answer)["status"] == "ok":
            self._world.losses.heard(_speaker(words), made_at)
        return answer

    def _exchange(self, words: tuple[Any, ...]) -> tuple[bytes, Published]:
        losses = self._world.losses
        pauses = self._world.server.pauses() if self._world.plan.world.pauses else ()
        try:
            answer, published = self.exchange(words)
        except ResponseError:
            losses.fail()
            raise
        request, reply = json.loads(words[-2]), json.loads(answer)
        losses.made(_speaker(words), request, reply)
        self._world.starts.made(_speaker(words), request, reply)
        if self._world.plan.world.pauses:
            self._world.kept.made(request, reply, pauses, self._world.server.pauses()[0])
        self._world.on_trunks.made(_speaker(words), request, reply)
        return answer, published

    def _check_reachable(self, *, lost: bool = False) -> None:
        if self._worker.cut or self._world.server.away or lost:
            raise Disconnected("lost")

    async def subscribe(self, *channels: str) -> None:
        self._check_reachable()
        await super().subscribe(*channels)

    async def get_message(self, timeout: float) -> dict[str, Any] | None:
        self._check_reachable()
        return await super().get_message(timeout)

    def ring(self, channel: str, message: bytes) -> None:
        """The server tells something; it comes a little later, or never."""
        delay = self._plan.bells[self._bells % len(self._plan.bells)]
        self._bells += 1
        if self._world.is_calm:
            delay = 0.0
        if delay is not None and not self._worker.cut:
            self._world.loop.call_later(delay, self.hear, channel, message)


def _speaker(words: tuple[Any, ...]) -> str:
    """Whose exchange it is."""
    constants: bytes = words[-1]
    return constants.split()[0].decode()


SLOWEST_COMING = 2.5
"""Seconds from when a trunk is due until a worker has come that was called for it, at most."""

PROBE_SECONDS = 30.0
"""Seconds within which an empty gate admits somebody."""

CLOSING_SECONDS = 60.0
"""Seconds within which all workers have closed their gates."""

EXCHANGE_SECONDS = 2.0
"""Seconds for which an exchange is waited for: `RedisLedger`'s `timeout`."""

LEAVING_SECONDS = EXCHANGE_SECONDS
"""Seconds for which a worker that closes tries to leave. One that can't is gone when its lease has
run out."""


class Worker:
    """One process: a gate, its callers, and its client of the server."""

    def __init__(self, number: int, plan: WorkerPlan, world: SharedWorld) -> None:
        self.name = f"worker {number}"
        self.plan = plan
        self.client = TroubledClient(self, plan, world)
        self.cut = False
        self.dead = False
        self.draining: asyncio.Task[None] | None = None
        self.gate: callguard.Gate | None = None
        self.callers: list[asyncio.Task[None]] = []
        self.paused: dict[Scope, float] = {}
        self.task: asyncio.Task[None] | None = None
        self._rejected = ""
        self._world = world
        self._awake = asyncio.Event()
        self._awake.set()
        self._over = asyncio.Event()
        self.had_time_to_leave = False
        self._counts_apart = world.plan.world.gate.inbound_apart and not plan.counts_together
        self._ends_free = world.plan.world.gate.ends_free and not plan.goes_by_the_count

    async def awake(self) -> None:
        """Go on at once, or when the pause is over."""
        await self._awake.wait()

    @property
    def steered(self) -> callguard.Gate | None:
        """Its gate, where that may be paused and resumed."""
        return None if self.dead or self.draining is not None else self.gate

    def hear(self, event: callguard.events.Event) -> None:
        """Among others: the gate knows of a pause from now on, or knows that it is over."""
        if isinstance(event, callguard.events.Paused):
            self.paused[event.lane, event.trunk] = self._world.loop.now
        elif isinstance(event, callguard.events.Resumed):
            self.paused.pop((event.lane, event.trunk), None)
            if (event.lane, event.trunk) not in self._world.resumed:
                self._world.scene.blame("resumed", f"by nobody, at {self.name}: {event}")
        self._world.hear(event)

    def knew_of_pause(self, lane: str, trunk: str | None) -> bool:
        """Whether the gate knew before this instant that they are paused."""
        now = self._world.loop.now
        return covers((scope for scope, at in self.paused.items() if at < now), lane, trunk)

    async def live(self) -> None:
        world = self._world
        await asyncio.sleep(self.plan.opens)
        while not self.dead and not self._over.is_set():
            try:
                async with self._opened() as gate:
                    self.gate = gate
                    world.trace(f"{self.name} is open")
                    try:
                        await self._over.wait()
                    finally:
                        self.gate = None
                        closes_at = world.loop.now
            except (callguard.LimitsRejected, callguard.LedgerUnavailable) as error:
                self._rejected = repr(error)
                await asyncio.sleep(1.0)
            else:
                self.had_time_to_leave = world.loop.now < closes_at + LEAVING_SECONDS
                return

    def trouble(self, kind: str) -> None:
        self._world.trace(f"{self.name} {kind}")
        if kind == "pauses":
            self._awake.clear()
        elif kind == "cut":
            self.cut = True
        else:
            self._die()

    def relieve(self) -> None:
        if not self.dead:
            self._world.trace(f"{self.name} is well")
            self.cut = False
            self._awake.set()

    def close(self) -> None:
        self._over.set()

    def drain(self) -> None:
        """Admit nobody any more, and end when all is known of the calls that go on."""
        if self.gate is not None and not self.dead:
            self._world.trace(f"{self.name} drains")
            self.draining = self._world.loop.create_task(self._drain(self.gate))

    async def _drain(self, gate: callguard.Gate) -> None:
        drained = self._world.loop.create_task(gate.drain())
        drained.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.sleep(0.0)
        if any(gate.statistics().waiting.values()):
            self._world.scene.blame("draining", f"somebody waits on at {self.name}")
        await asyncio.wait([drained])
        if not self.dead and drained.exception() is not None:
            self._world.scene.blame("draining", f"{self.name}: {drained.exception()!r}")
        self._world.trace(f"{self.name} has drained")
        self.close()

    def waits_for(self) -> str:
        """What keeps it from ending."""
        about = sorted(task.get_name() for task in self.callers if not task.done())
        if self.gate is not None:
            return f"{self.name}, with {about}: {why_it_waits(self.gate)}"
        return f"{self.name}, with {about}: its gate is not open; {self._rejected}"

    async def answer(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        await self.awake()
        reply = await self._world.provider.answer(method, url, headers)
        await self.awake()
        return reply

    async def list_calls(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        await self.awake()
        reply = await self._world.provider.list_calls(url, headers, body)
        await self.awake()
        return reply

    def _die(self) -> None:
        """Nothing that it would still say is heard."""
        self.cut = self.dead = True
        for task in (*self.callers, self.task, self.draining):
            if task is not None:
                task.cancel()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[callguard.Gate]:
        world = self._world
        told = world.plan.world.gate
        self.paused.clear()
        ledger = _LedgerInPieces(self.client, world)
        async with callguard.open_gate(
            "key_test",
            session=FakeSession(self.answer, self.list_calls),
            lanes=[lane_of(lane) for lane in told.lanes],
            cps=told.trunks[0].cps,
            trunks=[trunk_of(trunk) for trunk in told.trunks[1:]],
            ttl=told.ttl,
            max_age=told.max_age,
            counts_ringing=told.counts_ringing,
            ring_limit=told.ring_limit,
            counter_lag=told.counter_lag,
            min_interval=told.min_interval,
            track="ask" if told.asks else None,
            reserved_inbound="outbound" if self._counts_apart else "total",
            ends_free_at_once=self._ends_free,
            listener=self.hear,
            ledger=ledger,
        ) as gate:
            yield gate


class _LedgerInPieces(RedisLedger):
    """A ledger of which each exchange does as little as the plan says."""

    def __init__(self, client: TroubledClient, world: SharedWorld) -> None:
        super().__init__(cast("Any", client), name=world.name, lease=world.plan.lease)
        self._pieces = world.plan.at_once

    def settings(self, times: Times) -> Settings:
        return replace(super().settings(times), at_once=self._pieces)


class SharedWorld:
    """Several workers in front of one workspace.

    The promise is held against the truth: limits stand, others keep to the reserve, and so the
    count stays below every ceiling, but for calls that were dialled with a permit that was lost,
    which callers may see and some don't look at, and for those that are excused (`Losses`).
    """

    def __init__(self, plan: SharedPlan, loop: WatchedLoop, client: Redis) -> None:
        self.plan = plan
        self.loop = loop
        self.name = f"world {plan.world.seed} of {os.getpid()}"
        self.lines: list[str] = []
        self.is_calm = False
        self.server = SharedServer(client, Names(self.name))
        self.server.forget()
        trunks = plan.world.gate.trunks
        fill = any(trunk.calls for trunk in trunks)
        gate = plan.world.gate
        self.server.has_trunks_that_fill = fill or gate.inbound_apart or gate.ends_free
        self.provider = Provider(plan.world, self, loop)
        self.scene = Scene(plan.world, self.provider, loop.time)
        self.losses = Losses(
            self.scene.blame,
            loop.time,
            closed_for=plan.closed_for - plan.untold,
            max_age=plan.world.gate.max_age,
        )
        self.starts = Starts(self.scene.blame, loop.time, plan)
        self.kept = Kept(self.scene.blame, plan.world.gate.trunks)
        self.resumed: set[Scope] = set()
        self.alarms = Alarms(self.scene, lambda: plan.world.counter_in_time and not self._careless)
        self.on_trunks = OnSharedTrunks(self.scene.blame, plan.world, self.provider, self.losses)
        self.workers: list[Worker] = []
        self._resuming: asyncio.TimerHandle | None = None
        self._careless: set[str] = set()
        self._asked: set[str] = set()
        self._admissions = 0
        self._refusals = 0

    def trace(self, line: str) -> None:
        self.lines.append(f"{self.loop.now:12.4f} {line}")

    def outcome(self, *, keep_trace: bool) -> Outcome:
        told = [f"VIOLATION of {each.rule}: {each.text}" for each in self.scene.violations]
        lines = [*self.lines, *told]
        return Outcome(
            seed=self.plan.world.seed,
            seconds=self.loop.now,
            admissions=self._admissions,
            readings=len(self.provider.readings),
            refusals=self._refusals,
            promised=self.plan.world.counter_in_time and not self._careless,
            violations=tuple(self.scene.violations),
            digest=hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
            trace=tuple(lines) if keep_trace else (),
            befell=self._befell(),
            said=self.alarms.said,
            had=(*features(self.plan.world), *mishaps(self.plan)),
        )

    def _befell(self) -> dict[str, int]:
        mishaps = self.plan.mishaps
        return {
            "evictions": len(mishaps.evictions),
            "older dumps": len(mishaps.restorations),
            "steps of the clock": len(mishaps.steps),
            "failing scripts": self.losses.failures,
            "losses noticed": self.losses.noticed,
            "permits excused": len(self.losses.excused),
        }

    # Its course ----------------------------------------------------------------------------------

    async def live(self) -> None:
        """The troubles, the calm after them, and a look at what is left."""
        self.loop.set_exception_handler(
            lambda _, context: self.scene.blame("loose end", str(context))
        )
        await lived_out(self._course(), self._longest(), self.scene.blame, self._who_waits)
        self._look_for_leftovers()

    def _longest(self) -> float:
        """Seconds that it takes at most if everybody ends who should."""
        settling = longest_round(self.plan.world) + 2 * self.plan.lease
        probing = PROBE_SECONDS * len(self.plan.workers)
        calm = self._calm_within() + 2 * (settling + probing)
        return self.plan.world.lasts + calm + CLOSING_SECONDS

    def _calm_within(self) -> float:
        """Seconds after the end of the troubles within which everybody is admitted."""
        closed_for = self.plan.trunks_closed_for if self.plan.mishaps.losses else 0.0
        comes = SLOWEST_COMING * len(self.plan.world.callers) if self.scene.limited else 0.0
        return patience(self.plan.world) + 2 * self.plan.lease + closed_for + comes

    def _who_waits(self) -> list[str]:
        left = (each for each in self.workers if each.task is not None and not each.task.done())
        return [worker.waits_for() for worker in left]

    async def _course(self) -> None:
        made = enumerate(self.plan.workers)
        self.workers = [Worker(number, plan, self) for number, plan in made]
        for worker in self.workers:
            worker.task = self.loop.create_task(worker.live(), name=worker.name)
        self._set_up()
        await asyncio.sleep(self.plan.world.lasts)
        await self._become_calm()
        for worker in self.workers:
            worker.close()
        await asyncio.wait([worker.task for worker in self.workers if worker.task is not None])

    def _set_up(self) -> None:
        plan, loop = self.plan.world, self.loop
        for number, caller in enumerate(plan.callers):
            worker = self.workers[number % len(self.workers)]
            loop.call_at(min(caller.arrives, plan.lasts), self._send, worker, number, caller)
        for worker in self.workers:
            if worker.plan.drains is not None:
                loop.call_at(worker.plan.drains, worker.drain)
        for number, pause in enumerate(plan.pauses):
            of = self.workers[number % len(self.workers)]
            loop.call_at(pause.begins, self._pause, of, pause)
            loop.call_at(pause.ends, self._resume, self.workers[-1 - number % 2], pause)
        for at in plan.others:
            loop.call_at(at, self._somebody_else_calls)
        for worker in self.workers:
            for each in worker.plan.troubles:
                loop.call_at(each.at, worker.trouble, each.kind)
                loop.call_at(min(each.at + each.lasts, plan.lasts), worker.relieve)
        self._set_up_mishaps()

    def _set_up_mishaps(self) -> None:
        mishaps, loop = self.plan.mishaps, self.loop
        for eviction in mishaps.evictions:
            loop.call_at(eviction.at, self._evict, eviction.keys)
        for restoration in mishaps.restorations:
            loop.call_at(restoration.dumped_at, self._dump, restoration)
        for step in mishaps.steps:
            loop.call_at(step.at, self._step, step)
        for failing in mishaps.failings:
            loop.call_at(failing.at, self._begin_to_fail, failing)

    def _pause(self, worker: Worker, plan: PausePlan) -> None:
        if (gate := worker.steered) is not None and plan.begins < plan.ends:
            self.trace(f"{worker.name} pauses {plan.lane} on {plan.trunk}")
            gate.pause(plan.lane, plan.trunk)

    def _resume(self, worker: Worker, plan: PausePlan) -> None:
        if (gate := worker.steered) is not None:
            self.trace(f"{worker.name} resumes {plan.lane} on {plan.trunk}")
            self._resume_at(worker, gate, (plan.lane, plan.trunk))

    def _resume_all(self) -> None:
        """In the calm nothing stays paused; a worker may hear late of a pause."""
        for worker in self.workers:
            for lane, trunk in list(worker.paused):
                if (gate := worker.steered) is not None:
                    self._resume_at(worker, gate, (lane, trunk))
        self._resuming = self.loop.call_later(1.0, self._resume_all)

    def _resume_at(self, worker: Worker, gate: callguard.Gate, scope: Scope) -> None:
        if scope in worker.paused:
            self.resumed.add(scope)
        gate.resume(*scope)

    def _evict(self, keys: tuple[int, ...]) -> None:
        what = self.server.evict(keys)
        self.trace(f"evicted: {keys}, so {what} that counts")
        if what == "a part":
            self.losses.tear()
        elif what == "all":
            self.losses.flush()

    def _dump(self, restoration: Restoration) -> None:
        self.trace("dumped")
        images = self.server.image(), self.losses.image()
        self.loop.call_at(restoration.at, self._go_away, restoration, *images)

    def _go_away(self, restoration: Restoration, *then: Any) -> None:
        self.trace("the server is away")
        self.server.away = True
        back_at = min(restoration.at + restoration.lasts, self.plan.world.lasts)
        self.loop.call_at(back_at, self._come_back, restoration, *then)

    def _come_back(self, restoration: Restoration, image: dict[bytes, bytes], known: Image) -> None:
        self.trace(f"the server is back, as of {restoration.dumped_at}")
        self.server.turn_back(image)
        self.server.away = False
        self.losses.turn_back(restoration.dumped_at, known)
        self.starts.forget()  # whoever comes anew knows of none since

    def _step(self, step: Step) -> None:
        self.trace(f"the server's clock steps by {step.by} ms")
        self.server.step += step.by

    def _begin_to_fail(self, failing: Failing) -> None:
        self.trace(f"fails: {failing.what}")
        self.server.fails = failing.what
        self.loop.call_at(min(failing.at + failing.lasts, self.plan.world.lasts), self._obey)

    def _obey(self) -> None:
        self.trace("nothing fails")
        self.server.fails = ""

    def _send(self, worker: Worker, number: int, plan: CallerPlan) -> None:
        if worker.gate is not None:
            caller = self._call(worker, f"caller {number}", plan)
            worker.callers.append(self.loop.create_task(caller, name=f"caller {number}"))

    async def _call(self, worker: Worker, name: str, plan: CallerPlan) -> None:
        assert worker.gate is not None
        self.trace(f"{name} comes to {worker.name}")
        word = "placed"
        hours_end = None
        if plan.not_after is not None:
            hours_end = BEGINNING + timedelta(seconds=plan.not_after)
        try:
            async with worker.gate.admit(
                plan.lane, trunk=plan.trunk, timeout=plan.timeout, not_after=hours_end
            ) as permit:
                self._check_hours(name, plan, "in")
                self._admissions += 1
                self.trace(f"{name} is in")
                if worker.knew_of_pause(plan.lane, plan.trunk):
                    self.scene.blame("paused", f"{name} is in by {worker.name}")
                await self._dial(worker, plan, permit)
        except asyncio.CancelledError:
            word = "cancelled"
        except (callguard.CallGuardError, Refusal, DialError, OSError) as error:
            word = type(error).__name__
            if isinstance(error, callguard.AdmissionTimeout):
                # One that doesn't wait goes as soon as an exchange has said that there is no slot.
                asks = EXCHANGE_SECONDS if plan.timeout == 0.0 else 0.0
                self._check_hours(name, plan, "in the queue", asks)
        self.trace(f"{name} goes: {word}")

    def _check_hours(self, name: str, plan: CallerPlan, where: str, grace: float = 0.0) -> None:
        if plan.not_after is None:
            return
        if self.loop.now > max(plan.not_after, plan.arrives) + grace + SLACK:
            self.scene.blame("too late", f"{name} is {where}, after {plan.not_after}")

    async def _dial(self, worker: Worker, plan: CallerPlan, permit: callguard.Permit) -> None:
        await asyncio.sleep(plan.thinks)
        await worker.awake()
        if plan.gives_up or (permit.lost and worker.plan.careful):
            permit.cancel()
            return
        if permit.lost:
            self._careless.add(permit.id)
        if permit.id in self._asked:
            self.scene.blame("dials", "two admissions with one permit")
        self._asked.add(permit.id)
        call_id = await self.provider.dial(permit.id, plan.dials[0])
        await worker.awake()
        permit.placed(call_id)
        await asyncio.sleep(plan.lingers)

    def _somebody_else_calls(self) -> None:
        """Others keep to the reserve, whatever reading a gate goes by."""
        lanes, rules = self.plan.world.gate.lanes, self.provider.rules
        least = min(min(lane.reserve, ceiling(rules, lane) + lane.reserve) for lane in lanes)
        if sum(not call.key for call in self.provider.going_on.values()) < least:
            self.provider.call_by_somebody_else()

    async def _become_calm(self) -> None:
        alive = [worker for worker in self.workers if not worker.dead]
        waiting = [task for worker in alive for task in worker.callers if not task.done()]
        rules = calm_rules(self.plan.world, len(waiting))
        self.trace(f"calm, {len(waiting)} are about")
        self.is_calm = True
        for worker in alive:
            worker.relieve()
        self.provider.become_calm(rules)
        self._resume_all()
        if waiting:
            bound = self._calm_within()
            _, late = await asyncio.wait(waiting, timeout=bound)
            if late:
                who = "; ".join(self._who_waits())
                self.scene.blame("liveness", f"after {bound} s there still wait {who}")
        for _ in range(2):
            await asyncio.sleep(longest_round(self.plan.world) + 2 * self.plan.lease)
            for worker in alive:
                if worker.draining is None:
                    await self._probe(worker)
                elif not worker.draining.done():
                    self.scene.blame("draining", f"it never ends: {worker.waits_for()}")
        if self._resuming is not None:
            self._resuming.cancel()

    async def _probe(self, worker: Worker) -> None:
        """Everything is over and visible, so a reading clears the ledger."""
        if worker.gate is None:
            self.scene.blame("liveness", worker.waits_for())
            return
        try:
            async with worker.gate.admit(trunk=None, timeout=PROBE_SECONDS) as permit:
                permit.cancel()
        except callguard.CallGuardError as error:
            self.scene.blame("liveness", f"{worker.name} admits nobody: {error}")

    def _look_for_leftovers(self) -> None:
        gc.collect()
        me = asyncio.current_task()
        tasks = sorted(task.get_name() for task in asyncio.all_tasks() if task is not me)
        if tasks:
            self.scene.blame("leftovers", f"tasks: {tasks}")
        probed = [worker for worker in self.workers if not worker.dead and worker.draining is None]
        had_time = probed and all(worker.had_time_to_leave for worker in probed)
        if had_time and (left := self.server.left()):
            self.scene.blame("leftovers", f"keys: {left}")

    # What happens --------------------------------------------------------------------------------

    def hear(self, event: callguard.events.Event) -> None:
        """What a gate tells."""
        if isinstance(event, callguard.events.PremiseBroken):
            self.trace(f"broken: {event.premise}, said {event.said}, seen {event.seen}")
            self.alarms.broken(event)

    def ring(self, published: Published) -> None:
        """An exchange was made, and this is what it tells the others."""
        if published:
            self._check_ledger()
        for channel, message in published:
            for worker in self.workers:
                worker.client.ring(channel, message)

    def call_began(self, call: Call) -> None:
        self.trace(f"{call.id} begins")
        self.on_trunks.check(self._is_excused)
        if not self.plan.world.counter_in_time or self.is_calm:
            return
        going_on = self.provider.going_on.values()
        careless = sum(self._is_excused(each.key) for each in going_on)
        lanes = self.plan.world.gate.lanes
        most = max(ceiling(self.provider.rules, lane) + lane.reserve for lane in lanes)
        outbound = sum(bool(each.key) for each in going_on)
        if outbound > most + careless:
            self.scene.blame("promise", f"{outbound} outbound calls, at most {most}")
        if self.plan.world.gate.inbound_apart:
            most += self.provider.rules.reserved_inbound
        if len(going_on) > most + careless:
            self.scene.blame("promise", f"{len(going_on)} calls, at most {most}")
        self._check_ledger()

    def _is_excused(self, key: str) -> bool:
        return key in self._careless or key in self.losses.excused

    def _check_ledger(self) -> None:
        """Every call that goes on is in the reading that the ledger has, or has a permit there."""
        if self.losses.pending or not self.plan.world.counter_in_time:
            return
        limits, permits, ended = self.server.contents()
        if limits is None:
            return
        reading = self.provider.readings[limits["remaining_purchase_limit"]]
        for call in self.provider.going_on.values():
            known = call.number in reading.counted or call.key in permits
            if call.key and not known and not self._is_excused(call.key):
                self.scene.blame("usage", f"{call.id} goes on, and is in no contents")
        own = [call.key for call in self.provider.going_on.values() if call.key]
        least = sum(not self._is_excused(key) for key in own)
        if (usage := limits["current_concurrency"] + len(permits) - ended) < least:
            self.scene.blame("usage", f"{usage}, {ended} of them over, and {least} go on")

    def call_answered(self, call: Call) -> None:
        self._deliver(call, call.plan.started, "started")

    def call_ended(self, call: Call) -> None:
        self._deliver(call, call.plan.ended, "ended")

    def dial_refused(self, key: str, *, for_room: bool) -> None:
        self._refusals += 1
        self.alarms.refused(for_room=for_room)
        world = self.plan.world
        in_time = world.counter_in_time and not self.is_calm
        in_time = in_time and world.inbound_apart >= world.gate.inbound_apart
        in_time = in_time and not world.refuses_by_count
        involved = [key, *(call.key for call in self.provider.going_on.values())]
        excused = any(map(self._is_excused, involved))
        if for_room and in_time and not self._careless and not excused:
            self.scene.blame("promise", "a call was refused for want of room")

    def reading_began(self, reading: Reading) -> None:
        self.trace(f"reading {reading.serial} begins")

    def reading_over(self, reading: Reading) -> None:
        self.trace(f"reading {reading.serial} {reading.outcome}: {sorted(reading.counted)}")

    def call_told(self, call: Call) -> None:
        pass

    def _deliver(self, call: Call, delays: tuple[float, ...], what: str) -> None:
        if self.is_calm:
            return
        for number, delay in enumerate(delays):
            worker = self.workers[(call.number + number) % len(self.workers)]
            self.loop.call_later(delay, self._tell, worker, call, what)

    def _tell(self, worker: Worker, call: Call, what: str) -> None:
        if worker.gate is None or self.is_calm:
            return
        self.trace(f"news to {worker.name}: {call.id} {what}")
        if what == "started":
            worker.gate.note_answered(call.id, at=self.provider.recorded(call.answered_at))
        else:
            at = self.provider.recorded(call.ended_at)
            worker.gate.note_ended(call.id, refused=call.refused, at=at)
