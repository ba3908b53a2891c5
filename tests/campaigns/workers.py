"""A campaign by many processes on a shared ledger, against the HTTP simulator, in real time.

    python -m tests.campaigns.workers

Real processes dial leads through gates on one ledger; one of them is ended by SIGKILL every 2 s,
and a new one takes over what it had not begun. Then the same without kills, and by one process.
Prints, as Markdown, what the simulator kept as the truth of each run, and the share of the limit
that was used beside that of one process. Exits with 1 where the promise was broken.

All times are shorter than a provider's, so that 4,000 leads take some minutes: calls last 2 s, the
counter is 0.1 s late and trusted to be 0.2 s late at most, ``ttl`` is 0.2 s, and the lease 2 s. The
workspace counts ringing calls, and the gates are told so; there is no evidence of what became of a
call, so no reading is brought forward. A tenth of the readings fails, by default in the ways that
are noticed at once: a request that hangs, or that is told to come back in a second, costs 5 s or
1 s whatever ``ttl`` is, and costs one process more than many, of whom another reads.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
from redis.asyncio import Redis

import callguard
from callguard.events import Event, Listener, PermitLost
from callguard.ledger import RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.simulator import (
    FAULTS,
    Exponential,
    Fault,
    Faults,
    Truth,
    Uniform,
    Workspace,
    serve,
)
from tests.campaigns.plan import Plan, Report, Settings
from tests.support.processes import Parent, Said, Worker
from tests.support.programs import command, let_one_in, server, surroundings

TTL = 0.2
RING_LIMIT = 1.0
COUNTER_LAG = 0.2

QUICK_FAULTS: tuple[Fault, ...] = ("500", "429", "cut", "broken-json", "wrong-types")
"""Those that are noticed at once."""

LATENCY = Uniform(0.02, 0.1)
"""Seconds for each answer, so that some workers are killed in the middle of a dial."""

RAMP = 5.0
"""Seconds until the share is measured: more than two mean lengths of a call."""

IN_HAND = 400
"""Leads that wait at the gates at a time, over all workers."""


def plan_of(limit: int, *, seed: int = 0, cps: float | None = None, **changes: Any) -> Plan:
    """Calls of 1.9 s mean, and a counter that is 0.1 s late, which the gates are told."""
    settings = Settings(
        limit=limit,
        cps=cps,
        talk_time=Exponential(2.0),
        ring_time=Exponential(0.3, at_most=RING_LIMIT),
        answer_rate=0.7,
        ring_limit=RING_LIMIT,
        counts_ringing=True,
        rise_lag=0.1,
        fall_lag=0.1,
        seed=seed,
    )
    known = Plan(settings, counts_ringing=True, counter_lag=COUNTER_LAG)
    return replace(known, **{"faults_rate": 0.1, "faults": QUICK_FAULTS, **changes})


@asynccontextmanager
async def open_gate(
    ledger_url: str,
    name: str,
    url: str,
    api_key: str,
    lease: float,
    listener: Listener | None = None,
) -> AsyncIterator[callguard.Gate]:
    """A worker's gate, whose times suit the workspace's."""
    async with (
        RedisLedger.from_url(ledger_url, name=name, lease=lease, timeout=lease / 2) as ledger,
        callguard.open_gate(
            api_key,
            base_url=url,
            ledger=ledger,
            cps=None,
            ttl=TTL,
            min_interval=TTL / 4,
            max_age=15 * TTL,
            ring_limit=RING_LIMIT,
            counter_lag=COUNTER_LAG,
            counts_ringing=True,
            track=None,
            listener=listener,
        ) as gate,
    ):
        yield gate


async def dial_leads(
    parent: Parent, ledger_url: str, name: str, url: str, api_key: str, lease: float
) -> None:
    """Dial every lead that the parent hands out; say when each is begun, and when it is placed."""

    def listen(event: Event) -> None:
        if isinstance(event, PermitLost):
            parent.tell(lost=event.permit_id)

    async def dial(lead: int) -> None:
        while True:
            try:
                async with gate.admit() as permit:
                    parent.tell(begun=lead)
                    permit.placed(await _place(http, url, _number(lead), permit.id))
            except aiohttp.ClientResponseError as refusal:
                if refusal.status != 429:
                    raise
            else:
                parent.tell(placed=lead)
                return

    headers = {"Authorization": f"Bearer {api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        open_gate(ledger_url, name, url, api_key, lease, listen) as gate,
        asyncio.TaskGroup() as dialling,
    ):
        parent.tell(ready=True)
        calls = []
        while (said := await parent.hear()) is not None:
            calls += [dialling.create_task(dial(lead)) for lead in said["leads"]]
        for call in calls:
            call.cancel()


async def _place(http: aiohttp.ClientSession, url: str, lead: str, key: str) -> str:
    body = {"from_number": "+10000000000", "to_number": lead, "idempotency_key": key}
    async with http.post(
        f"{url}/v2/create-phone-call", json=body, raise_for_status=True
    ) as response:
        return str((await response.json())["call_id"])


class CountedFaults(Faults):
    """Faults that tell how many requests they have hit."""

    __slots__ = ("hits",)

    def __init__(self, rate: float, kinds: tuple[Fault, ...], seed: int) -> None:
        super().__init__(rate=rate, kinds=kinds, seed=seed)
        self.hits = 0

    def next(self, elapsed: float) -> Fault | None:
        """The next request's, as of `Faults`."""
        fault = super().next(elapsed)
        self.hits += fault is not None
        return fault


@dataclass(frozen=True)
class Picture:
    """The truth at a moment, and how many readings had failed by then."""

    truth: Truth
    failed: int


@dataclass
class Dialer:
    """One worker, and its leads that are not begun, and those that are not placed."""

    worker: Worker
    not_begun: set[int] = field(default_factory=set)
    in_flight: set[int] = field(default_factory=set)
    killed: bool = False


class Campaign:
    """Hands out the leads, and takes back those that a killed worker had not begun.

    Attributes:
        began, over: set when the first lead is begun, and when all are placed or set apart.
        set_apart: leads that were in flight when their worker was killed.
        kills: workers killed so far.
        lost: permits that a worker was told to have lost.
    """

    def __init__(self, plan: Plan, arguments: tuple[str, str, str, str, float]) -> None:
        self._plan = plan
        self._arguments = arguments
        self._leads = deque(range(plan.leads))
        self._dialers: list[Dialer] = []
        self._open = plan.leads
        self.over = asyncio.Event()
        self.began = asyncio.Event()
        self.set_apart: set[int] = set()
        self.kills = 0
        self.lost = 0

    @property
    def anyone_waits(self) -> bool:
        """Whether there are leads that are not begun."""
        return bool(self._leads) or any(dialer.not_begun for dialer in self._dialers)

    async def carry_out(self) -> None:
        """Have every lead dialled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._plan.workers):
                    self._dialers.append(await self._begin(tasks))
                if self._plan.kill_every is not None:
                    tasks.create_task(self._kill(self._plan.kill_every, tasks))
                await self.over.wait()
                for dialer in self._dialers:
                    dialer.worker.finish()
        finally:
            for dialer in self._dialers:
                dialer.worker.kill()

    async def _begin(self, tasks: asyncio.TaskGroup) -> Dialer:
        dialer = Dialer(await Worker.start(dial_leads, *self._arguments))
        if self.over.is_set():
            dialer.worker.finish()
        tasks.create_task(self._serve(dialer))
        return dialer

    async def _serve(self, dialer: Dialer) -> None:
        """Give a worker leads, and listen to it, until it has ended."""
        while (said := await dialer.worker.hear()) is not None:
            self._take_in(dialer, said)
            self._hand_out(dialer)
        await dialer.worker.aclose()
        if not dialer.killed and not self.over.is_set():
            raise RuntimeError("a worker has ended by itself")
        self._leads.extendleft(dialer.not_begun)
        self.set_apart |= dialer.in_flight
        self._settle(len(dialer.in_flight))
        dialer.not_begun.clear()

    def _take_in(self, dialer: Dialer, said: Said) -> None:
        match said:
            case {"begun": lead}:
                self.began.set()
                dialer.not_begun.discard(lead)  # it is not there if it was refused and goes again
                dialer.in_flight.add(lead)
            case {"placed": lead}:
                dialer.in_flight.remove(lead)
                self._settle(1)
            case {"lost": _}:
                self.lost += 1

    def _hand_out(self, dialer: Dialer) -> None:
        part = max(1, IN_HAND // self._plan.workers)
        more = min(part - len(dialer.not_begun), len(self._leads))
        if more > 0 and not dialer.killed:
            leads = [self._leads.popleft() for _ in range(more)]
            dialer.not_begun.update(leads)
            dialer.worker.tell(leads=leads)

    def _settle(self, leads: int) -> None:
        self._open -= leads
        if not self._open:
            self.over.set()

    async def _kill(self, every: float, tasks: asyncio.TaskGroup) -> None:
        """End a worker, and begin another in its slot, again and again while leads wait."""
        draw = random.Random(self._plan.settings.seed)
        while self.kills < self._plan.most_kills:
            await asyncio.sleep(every)
            if not self.anyone_waits:
                return
            number = draw.randrange(len(self._dialers))
            self._dialers[number].killed = True
            self._dialers[number].worker.kill()
            self.kills += 1
            self._dialers[number] = await self._begin(tasks)


async def carry_out(plan: Plan, ledger_url: str) -> Report:
    """Dial every lead of the plan, and compare with the simulator's truth."""
    limit, seed = plan.settings.limit, plan.settings.seed
    faults = CountedFaults(rate=plan.faults_rate, kinds=plan.faults, seed=seed)
    name = uuid.uuid4().hex
    async with serve(plan.settings, faults=faults, latency=LATENCY) as provider:
        arguments = ledger_url, name, provider.url, provider.api_key, plan.lease
        campaign = Campaign(plan, arguments)
        watch = asyncio.create_task(_watch(campaign, provider.workspace, faults))
        slowest = min(limit / 10, (plan.settings.cps or math.inf) / 2)  # calls per second
        async with asyncio.timeout(60 + plan.leads / slowest):
            await campaign.carry_out()
        pictures = await watch
        left_over = await _left_over(arguments)
        truth = provider.workspace.truth()
        dialled = Counter(call.to_number for call in provider.workspace.calls())
    counts = [dialled[_number(lead)] for lead in range(plan.leads)]
    begin, end = pictures[0], pictures[-1]
    seconds = end.truth.elapsed - begin.truth.elapsed or math.nan
    return Report(
        leads=plan.leads,
        placed=truth.placed,
        excess=-limit if truth.worst_excess is None else truth.worst_excess,
        refusals=truth.refusals,
        too_fast=truth.rate_refusals,
        most_dials=truth.most_dials_in_a_second,
        twice=sum(count > 1 for count in counts),
        not_dialled=sum(
            not count for lead, count in enumerate(counts) if lead not in campaign.set_apart
        ),
        set_apart=len(campaign.set_apart),
        kills=campaign.kills,
        lost=campaign.lost,
        seconds=seconds,
        share=(end.truth.call_seconds - begin.truth.call_seconds) / seconds / limit,
        readings=truth.readings,
        failed=faults.hits,
        readings_per_second=(end.truth.readings - begin.truth.readings) / seconds,
        failed_per_second=(end.failed - begin.failed) / seconds,
        left_over=left_over,
    )


async def _watch(
    campaign: Campaign, provider: Workspace, faults: CountedFaults
) -> tuple[Picture, Picture]:
    """The pictures between which the share is measured: leads wait all the time."""

    def look() -> Picture:
        return Picture(provider.truth(), faults.hits)

    await campaign.began.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(RAMP):
            await campaign.over.wait()
    begin = end = look()
    while campaign.anyone_waits:
        end = look()
        await asyncio.sleep(0.05)
    return begin, end


async def _left_over(arguments: tuple[str, str, str, str, float]) -> int:
    """Permits on the ledger though all calls are over and the dead workers' leases have run out."""
    ledger_url, name, *_, lease = arguments
    (key,) = (key.decode() for key in Names(name).keys if key.endswith(b":permits"))
    async with open_gate(*arguments) as gate, Redis.from_url(ledger_url) as client:
        until = asyncio.get_running_loop().time() + 2 * lease + 5
        while asyncio.get_running_loop().time() < until:
            await let_one_in(gate)
            await asyncio.sleep(TTL)
            left = len(await client.hkeys(key))
            if not left:
                break
    return left


def _number(lead: int) -> str:
    return f"+1{lead:010}"


HEADINGS = (
    "processes",
    "leads",
    "kills",
    "peak - ceiling",
    "refusals",
    "of which too fast",
    "most dials in a second",
    "leads dialled twice",
    "not dialled",
    "set apart",
    "permits lost",
    "left on the ledger",
    "seconds measured",
    "readings per second",
    "of which failed",
    "share of the limit",
    "beside one process",
)


def row(plan: Plan, report: Report, alone: Report) -> str:
    """A run's line in the table."""
    figures = (
        plan.workers,
        f"{plan.leads:,}",
        report.kills,
        report.excess,
        report.refusals,
        report.too_fast,
        report.most_dials,
        report.twice,
        report.not_dialled,
        report.set_apart,
        report.lost,
        report.left_over,
        f"{report.seconds:.0f}",
        f"{report.readings_per_second:.2f}",
        f"{report.failed_per_second:.2f}",
        f"{report.share:.4f}",
        f"{report.share / alone.share:.3f}",
    )
    return f"| {' | '.join(str(figure) for figure in figures)} |"


async def main(plan: Plan, ledger: str | None) -> bool:
    """Print what came of the plan, of the same without kills, and with one process."""
    of = f"limit {plan.settings.limit}, seed {plan.settings.seed}"
    print(f"{surroundings()}; {of}, 1/ttl = {1 / TTL:g} per second\n")
    plans = [
        replace(plan, workers=1, kill_every=None),
        replace(plan, kill_every=None),
        plan,
    ]
    reports: list[Report] = []
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    with server(ledger) as url:
        for each in plans:
            reports.append(await carry_out(each, url))
            print(row(each, reports[-1], reports[0]), flush=True)
    return all(report.clean for report in reports)


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--leads", type=int, default=4000)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--cps", type=float, help="calls that may start per second; else no rule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--kill-every", type=float, default=2.0, help="seconds")
    parser.add_argument("--every-fault", action="store_true", help="those too that take seconds")
    options = parser.parse_args()
    wanted = plan_of(
        options.limit,
        seed=options.seed,
        cps=options.cps,
        leads=options.leads,
        workers=options.workers,
        kill_every=options.kill_every,
        lease=options.lease,
        faults=FAULTS if options.every_fault else QUICK_FAULTS,
    )
    sys.exit(0 if asyncio.run(main(wanted, options.ledger)) else 1)
