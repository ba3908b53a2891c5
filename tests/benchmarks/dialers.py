"""The dialers of the campaign benchmark: each slots every lead of one simulated workspace.

All but the oracle take as long as each other to read the counter and to dial, and all have the
same calls: the n-th that is placed has the same fate, whoever places it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import cast

import callguard
from callguard.simulator import (
    Call,
    CallRefused,
    OutboundRule,
    RequestLimit,
    Truth,
    WebhookPlan,
    Workspace,
)
from callguard.simulator.listing import ListRequest
from callguard.simulator.trunks import room_in_seconds
from tests.benchmarks.shared_ledger import SharedLedger
from tests.campaigns.one_gate import API_KEY, EVIDENCE, WEBHOOKS, open_courier, provider
from tests.campaigns.plan import Evidence, Plan
from tests.support.fake_network import FakeSession, Reply

__all__ = [
    "CAREFUL_ORACLE",
    "DIAL",
    "DIALERS",
    "LIST",
    "LOOP",
    "ORACLE",
    "ORACLES",
    "OURS",
    "PROCESSES",
    "QUESTION",
    "READING",
    "SEMAPHORE",
    "SHARED_DIALERS",
    "UNTIL_REFUSED",
    "UNTOLD",
    "Dialer",
    "World",
]

LOOP_SLEEP, LOOP_FULL_SLEEP = 2.0, 5.0
"""Seconds between two rounds of the loop, and where none seemed to fit; public ones sleep up to 30.
"""

LOOP_PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further dial of a lead whose dial failed, as in public loops."""

EXAMPLE_PAUSES = (1.0, 2.0)
"""The same in the provider's own example (docs.retellai.com/deploy/outbound-call): three dials."""

FOR_EVER = repeat(1.0)
"""The same for those who never give up."""

PROCESSES = 4

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds to back off after a refusal: twice as many after each in a row, up to the longest."""

ROUNDING = 1e-7
"""Seconds that are none, because adding up seconds rounds."""

READING, QUESTION, LIST, DIAL = (
    "/get-concurrency",
    "/v2/get-call/{call_id}",
    "/v3/list-calls",
    "/v2/create-phone-call",
)
"""The provider's endpoints."""

TOO_MANY = Reply.json({"status": "error"}, 429)

MIN_INTERVAL = 0.25
"""Seconds between two readings at least, as `open_gate` has it by default."""


class World:
    """A workspace, and the leads that are still to be dialled.

    Attributes:
        plan: what is dialled, and how long things take.
        workspace: where it is dialled.
        waiting: leads that nobody is dialling.
        unplaced: leads that have no call yet, as far as the provider's answers tell.
        waits: seconds from the beginning until each lead's call was placed.
        over_at: seconds from the beginning until the last answer that told of a call.
        reading_times: when each reading of the counter began.
        requests: how many requests of each kind were answered, and how many were too many.
        ledger: the address of the server on which workers share their ledger; empty for none.
    """

    def __init__(self, plan: Plan, ledger: str = "") -> None:
        self.plan = plan
        self.ledger = ledger
        self._time = asyncio.get_running_loop().time
        self.workspace = Workspace(plan.settings, self._time)
        self.waiting = self.unplaced = plan.leads
        self.waits: list[float] = []
        self.over_at = 0.0
        self.reading_times: list[float] = []
        self.requests = RequestLimit(plan.requests_per_minute)
        self._provider = provider(self.workspace, plan)
        self._dial_times = random.Random(plan.settings.seed)

    @property
    def ceiling(self) -> int:
        """The count up to which outbound calls may go at no surcharge; see `rule` for which."""
        return self.rule.ceiling

    @property
    def rule(self) -> OutboundRule:
        """The workspace's own rule, where nobody means to burst."""
        settings = self.plan.settings
        ceiling = settings.limit - settings.reserved_inbound
        return OutboundRule(settings.limit, ceiling, settings.inbound_apart)

    async def answer(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        """What the provider answers, after some time."""
        is_reading = url.endswith("/get-concurrency")
        if is_reading:
            self.reading_times.append(self._time())
        if not self._has_room(READING if is_reading else QUESTION):
            return TOO_MANY
        return await self._provider(method, url, headers)

    async def list_calls(self, url: str, headers: Mapping[str, str], sent: bytes) -> Reply:
        """What the provider answers to a question about many calls, after some time."""
        if not self._has_room(LIST):
            return TOO_MANY
        await asyncio.sleep(self.plan.reading_seconds / 2)
        asked, workspace = ListRequest.parse(sent), self.workspace
        assert asked is not None
        listed = asked.answer(
            workspace.call, workspace.calls, clock=workspace.provider_clock, ringing=False
        )
        await asyncio.sleep(self.plan.reading_seconds / 2)
        return Reply.json(listed)

    def _has_room(self, endpoint: str) -> bool:
        return self.requests.has_room(endpoint, self._time())

    async def read(self) -> callguard.Limits:
        """The limits, as the provider tells them."""
        reply = await self.answer("GET", "/get-concurrency", {})
        return callguard.Limits.from_json(reply.body)

    async def dial(self) -> Call:
        """Place the call of one lead, whichever.

        Raises:
            CallRefused: there was no room, or it came too fast, and the answer says so.
        """
        await asyncio.sleep(self.plan.dial_time(self._dial_times))
        if not self._has_room(DIAL):
            raise CallRefused("too many requests")
        return self.place()

    def place(self) -> Call:
        """The same, in no time."""
        call = self.workspace.dial()
        self.unplaced -= 1
        self.over_at = self.workspace.elapsed
        if not is_dead(call):
            self.waits.append(self.over_at)
        return call

    async def until_all_are_over(self) -> Truth:
        """What really went on, when the last call has ended."""
        while (truth := self.workspace.truth()).placed > truth.ended:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(self.seconds_to_next_event())
        return truth

    def seconds_to_next_event(self) -> float:
        """Until something happens in the workspace; only while something is to."""
        at = self.workspace.next_event_at
        assert at is not None
        return max(0.0, at - self._time())

    def seconds_until_due(self) -> float:
        """Until another call may start by the rate, if all that were dialled were due."""
        settings = self.plan.settings
        room, seconds = room_in_seconds(settings.cps, settings.cps_rule)
        if len(self.waits) < room:
            return 0.0
        return self.waits[-int(room)] + seconds - self.workspace.elapsed


def is_dead(call: Call) -> bool:
    """Whether the provider has refused it, though its answer was that of a success."""
    return call.status == "error"


Dialer = Callable[[World], Awaitable[None]]
"""Returns when every lead has its call, or is given up."""


async def oracle(world: World, *, keeps_reserve: bool = False) -> None:
    """Start a call the instant one ends, with no dialling time: as fast as the limits allow.

    A call takes up a slot from the dial on, also where the workspace counts it later.

    Args:
        keeps_reserve: whether it leaves free what a gate leaves to others' next calls.
    """
    reserve = world.plan.reserve if keeps_reserve else 0
    while world.unplaced:
        truth = world.workspace.truth()
        if world.rule.excess(truth.live + reserve + 1, truth.placed - truth.ended + 1) > 0:
            await asyncio.sleep(world.seconds_to_next_event())
        elif (wait := world.seconds_until_due()) > ROUNDING:
            await asyncio.sleep(wait)
        else:
            world.place()


async def loops(world: World, *, processes: int = 1, puts_back: bool = False) -> None:
    """Read the counter, dial all that seems to fit at once, sleep, again; in several processes.

    So do the loops in public code: a dial that fails is tried three times more, after 1, 2 and 4
    s, and then there is a line in the log, and the lead was taken from the queue before. Here what
    the provider keeps for others is taken off the limit, which those loops don't do. The processes
    take from one queue. They were started at different moments, so they don't read at once.

    Args:
        puts_back: whether a lead that is given up goes back into the queue instead.
    """
    draw = random.Random(world.plan.settings.seed)
    starts = [draw.uniform(0.0, LOOP_SLEEP) for _ in range(processes)]
    async with asyncio.TaskGroup() as group:
        for start in starts:
            group.create_task(_loop(world, start - min(starts), puts_back))


async def _loop(world: World, start: float, puts_back: bool) -> None:
    await asyncio.sleep(start)
    while world.waiting:
        limits = await world.read()
        ceiling = limits.concurrency_limit - limits.reserved_inbound_concurrency
        batch = min(max(0, ceiling - limits.current_concurrency), world.waiting)
        world.waiting -= batch
        placed = await asyncio.gather(*(_dialled(world, LOOP_PAUSES) for _ in range(batch)))
        if puts_back:
            world.waiting += placed.count(False)
        await asyncio.sleep(LOOP_SLEEP if batch else LOOP_FULL_SLEEP)


async def _dialled(world: World, pauses: Iterable[float]) -> bool:
    """Dial one lead, and again after each pause while it is refused; returns whether it wasn't."""
    for pause in chain((0.0,), pauses):
        await asyncio.sleep(pause)
        try:
            await world.dial()
        except CallRefused:
            continue
        return True
    return False


class _Slots:
    """A semaphore whose slots come back when a webhook tells that a call is over."""

    def __init__(self, limit: int) -> None:
        self._semaphore = asyncio.Semaphore(limit)
        self._over: set[str] = set()
        self.acquire = self._semaphore.acquire
        self.release = self._semaphore.release

    def note_answered(self, call_id: str, *, at: float | None = None) -> None:
        """That a call was answered frees nothing."""

    def note_ended(self, call_id: str, *, refused: bool = False, at: float | None = None) -> None:
        """A slot is free again, once for each call; its analysis says the same again."""
        if call_id not in self._over:
            self._over.add(call_id)
            self.release()


async def semaphore(
    world: World, *, pauses: Iterable[float] = EXAMPLE_PAUSES, plan: WebhookPlan = WEBHOOKS
) -> None:
    """Hold a semaphore of the ceiling around each whole call; webhooks tell when calls end.

    Args:
        pauses: in seconds, after each of which a refused lead is dialled again; then it is lost.
        plan: how the webhooks come.
    """
    slots = _Slots(world.ceiling)
    with_webhooks = replace(world.plan, evidence=_seeded(world, Evidence(webhooks=plan)))
    courier = open_courier(world.workspace, with_webhooks, cast("callguard.Gate", slots))
    assert courier is not None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(world.plan.leads):
                await slots.acquire()
                group.create_task(_hold(world, slots, pauses))
    finally:
        courier.close()


async def _hold(world: World, slots: _Slots, pauses: Iterable[float]) -> None:
    if not await _dialled(world, pauses):
        slots.release()


async def backing_off(world: World) -> None:
    """Dial until the provider refuses, back off exponentially, again."""
    pause = FIRST_PAUSE
    while world.unplaced:
        try:
            await world.dial()
        except CallRefused:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            pause = FIRST_PAUSE


async def gated(
    world: World,
    *,
    probed: bool = False,
    told_rate: bool = True,
    evidence: Evidence | None = None,
    min_interval: float = MIN_INTERVAL,
    outbound_rule: bool = False,
    reserve: int | None = None,
    workers: int = 1,
    ends_free: bool = False,
) -> None:
    """Enter the gate before each dial; several workers have a gate each, and ledger that they
    share.

    The leads are handed out evenly; a webhook comes to whichever worker is next.
    """
    knowing = replace(
        world.plan, evidence=evidence and _seeded(world, evidence), ends_free_at_once=ends_free
    )
    if probed:
        knowing = replace(knowing, counts_ringing=knowing.settings.counts_ringing)
    if told_rate:
        knowing = replace(knowing, cps=knowing.settings.cps)
    if outbound_rule:
        knowing = replace(knowing, reserved_inbound="outbound")
    if reserve is not None:
        knowing = replace(knowing, reserve=reserve)
    async with AsyncExitStack() as stack:
        gates = []
        for ledger in _ledgers(world, workers, stack):
            gate = _gate(world, knowing, min_interval, ledger)
            gates.append(await stack.enter_async_context(gate))
        courier = open_courier(world.workspace, knowing, *gates)
        if courier is not None:
            stack.callback(courier.close)
        async with asyncio.TaskGroup() as group:
            for lead in range(world.plan.leads):
                group.create_task(_dial_through(gates[lead % len(gates)], world))


def _ledgers(
    world: World, workers: int, stack: AsyncExitStack
) -> Sequence[callguard.RedisLedger | None]:
    if workers == 1:
        return [None]
    ledger = stack.enter_context(SharedLedger(world.ledger))
    return [ledger.ledger() for _ in range(workers)]


def _gate(
    world: World, plan: Plan, min_interval: float, ledger: callguard.RedisLedger | None
) -> AbstractAsyncContextManager[callguard.Gate]:
    return callguard.open_gate(
        API_KEY,
        session=FakeSession(world.answer, world.list_calls),
        lanes=[callguard.Lane("default", reserve=plan.reserve, default=True)],
        counts_ringing=plan.counts_ringing,
        counter_lag=plan.counter_lag,
        cps=plan.cps,
        min_interval=min_interval,
        reserved_inbound=plan.reserved_inbound,
        ends_free_at_once=plan.ends_free_at_once,
        refused=lambda error: isinstance(error, CallRefused),
        track="ask" if plan.evidence and plan.evidence.asking else None,
        ledger=ledger,
    )


async def _dial_through(gate: callguard.Gate, world: World) -> None:
    while True:
        try:
            async with gate.admit() as permit:
                call = await world.dial()
                if not is_dead(call):
                    permit.placed(call.call_id)
                    return
                permit.refused()
        except CallRefused:
            continue


def _seeded(world: World, evidence: Evidence) -> Evidence:
    if evidence.webhooks is None:
        return evidence
    return replace(evidence, webhooks=replace(evidence.webhooks, seed=world.plan.settings.seed))


SOME_LOST = replace(WEBHOOKS, lost=0.02)
"""One event in fifty is never delivered, say while the receiver is restarted.

The end of a call is told twice, by ``call_ended`` and by ``call_analyzed``, so that this hides the
end of one call in 2,500."""


MANY_LOST = replace(WEBHOOKS, lost=0.2)

ORACLE = "oracle: a call starts the instant one ends"

CAREFUL_ORACLE = "oracle that keeps the gate's reserve"

ORACLES = (ORACLE, CAREFUL_ORACLE)
"""Those that know everything, and so are never refused."""

OURS = "callguard"
"""What the name of each row of ours begins with."""

UNTOLD = f"{OURS}, webhooks, told that there is no rate"

LOOP = "loop: read the count, dial all that seems to fit, sleep 2 s"
SEMAPHORE = f"semaphore, told by webhooks when calls end, {len(EXAMPLE_PAUSES) + 1} dials a lead"
UNTIL_REFUSED = "dial until refused, back off exponentially"

_WEBHOOKS, _ASKING = EVIDENCE["webhooks"], EVIDENCE["asking"]

_BOTH = Evidence(asking=True, webhooks=WEBHOOKS)

_WAYS: Mapping[str, Callable[..., Awaitable[None]]] = {
    "knowing nothing": gated,
    "probed": partial(gated, probed=True),
    "asking": partial(gated, evidence=_ASKING),
    "asking, one reading a second": partial(gated, evidence=_ASKING, min_interval=1.0),
    "webhooks": partial(gated, evidence=_WEBHOOKS),
    "webhooks, one reading a second": partial(gated, evidence=_WEBHOOKS, min_interval=1.0),
    "probed and webhooks": partial(gated, probed=True, evidence=_WEBHOOKS),
    "asking and webhooks": partial(gated, evidence=_BOTH),
    "outbound rule, asking": partial(gated, outbound_rule=True, evidence=_ASKING),
    "outbound rule, webhooks": partial(gated, outbound_rule=True, probed=True, evidence=_WEBHOOKS),
    "outbound rule, webhooks, reserve 1": partial(
        gated, outbound_rule=True, probed=True, evidence=_WEBHOOKS, reserve=1
    ),
}
"""What a gate may know, besides the rate. Evidence brings its next reading forward, to
`MIN_INTERVAL` after the one before, but in the ways that are named after their one reading a
second."""

_FREE: Mapping[str, Callable[..., Awaitable[None]]] = {
    "asking, ends free": partial(gated, evidence=_ASKING, ends_free=True),
    "webhooks, ends free": partial(gated, evidence=_WEBHOOKS, ends_free=True),
    "probed and asking, ends free": partial(gated, probed=True, evidence=_ASKING, ends_free=True),
    "outbound rule, asking, ends free": partial(
        gated, outbound_rule=True, evidence=_ASKING, ends_free=True
    ),
    "outbound rule, not probed, webhooks, ends free": partial(
        gated, outbound_rule=True, evidence=_WEBHOOKS, ends_free=True
    ),
    "outbound rule, webhooks, ends free": partial(
        gated, outbound_rule=True, probed=True, evidence=_WEBHOOKS, ends_free=True
    ),
    "probed and webhooks, ends free": partial(
        gated, probed=True, evidence=_WEBHOOKS, ends_free=True
    ),
}
"""Where an ended call makes room at once."""

DIALERS: Mapping[str, Dialer] = {
    ORACLE: oracle,
    CAREFUL_ORACLE: partial(oracle, keeps_reserve=True),
    LOOP: loops,
    f"the same loop in {PROCESSES} processes": partial(loops, processes=PROCESSES),
    "the same loop, a lead that it gives up goes back": partial(loops, puts_back=True),
    SEMAPHORE: semaphore,
    "the same, a lead is dialled until it is placed": partial(semaphore, pauses=FOR_EVER),
    "the same, 1 webhook in 50 lost": partial(semaphore, pauses=FOR_EVER, plan=SOME_LOST),
    UNTIL_REFUSED: backing_off,
    **{f"{OURS}, {name}": way for name, way in {**_WAYS, **_FREE}.items()},
    f"{OURS}, 1 webhook in 50 lost": partial(gated, evidence=Evidence(webhooks=SOME_LOST)),
    f"{OURS}, 1 webhook in 5 lost": partial(gated, evidence=Evidence(webhooks=MANY_LOST)),
    f"{OURS}, asking and webhooks, 1 in 50 lost": partial(
        gated, evidence=Evidence(asking=True, webhooks=SOME_LOST)
    ),
    UNTOLD: partial(gated, told_rate=False, evidence=_WEBHOOKS),
}
"""By name, in the order of the table; callguard has one worker in all of these."""

SHARED_DIALERS: Mapping[str, Dialer] = {
    f"{OURS}, {name}, {PROCESSES} workers": partial(way, workers=PROCESSES)
    for name, way in {**_WAYS, **_FREE}.items()
}
"""Those that need `World.ledger`."""
