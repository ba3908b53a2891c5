"""The rate of a trunk, by the provider's own count, with many leads at once.

    python -m tests.campaigns.rates --leads 30 300 --cps 1 5

All leads wait from the beginning. The provider refuses what comes faster than its rate in any
rolling second, by a 429 or by a call that dies at once; the gates are told the rate. Prints for
each case, as Markdown and by the simulator's truth: dials refused, leads that were never called or
twice, the most dials in any rolling second (refused ones among them), and how long it took from the
first start to the last beside the floor, ``(leads - 1) / cps``. One gate, and four on one ledger,
run in one process under virtual time, on a network whose dials don't all take as long; four
processes are real, on a real server, against the HTTP simulator. Exits with 1 where anything was
refused, lost or doubled, or took more than 1.06 times the floor. In real time that says as much of
the machine: a dial that it delays by more than the gate's slack comes too close to the next one.

The limit is 20, and it must not be what bounds the starts. So a call lasts 0.8 s, and the counter
is late by 0.1 s, and trusted to be 0.2 s late at most: with five starts a second about half of the
slots are in use. The table has the most that a gate saw in use at an admission, the new call among
them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product

import aiohttp

import callguard
from callguard.ledger import RedisLedger
from callguard.simulator import (
    CPS_REFUSALS,
    CallRefused,
    Constant,
    CpsRefusal,
    Workspace,
    WorkspaceSettings,
    serve,
)
from callguard.simulator.bodies import described
from tests.benchmarks.shared_ledger import SharedLedger
from tests.benchmarks.tables import markdown
from tests.campaigns.one_gate import API_KEY, provider
from tests.campaigns.plan import Plan
from tests.support.fake_network import FakeSession
from tests.support.processes import Parent, workers
from tests.support.programs import command, server, surroundings
from tests.support.virtual_time import run

LIMIT = 20

COUNTER_LAG = 0.2

LATENCY = Constant(0.02)
"""Seconds for each answer over HTTP, where a dial counts when its request has come."""

MOST_OVER = 1.06
"""Times the floor: the gate's own slack is 1.05."""

REFUSED_REASON = "concurrency_limit_reached"

Answer = Mapping[str, object]
Dial = Callable[[int, callguard.Permit], Awaitable[Answer]]


@dataclass(frozen=True)
class Case:
    """One campaign.

    Attributes:
        leads: who is to be called; two at least.
        cps: calls that may start per second.
        refusal: how the provider refuses what comes faster.
        way: through which of the gate's doors; see `WAYS`.
        processes: 1 under virtual time, more for as many real ones, with a gate each.
        gates: of the one process; several share a ledger, whose server is told the virtual time.
        jitter: seconds by which dials differ from 0.2 s, at most, under virtual time.
        told: whether the gates know the rate.
    """

    leads: int
    cps: float
    refusal: CpsRefusal
    way: str
    processes: int = 1
    gates: int = 1
    jitter: float = 0.02
    told: bool = True

    @property
    def told_cps(self) -> float | None:
        """The rate, as the gates know it."""
        return self.cps if self.told else None

    @property
    def settings(self) -> WorkspaceSettings:
        """The workspace."""
        return WorkspaceSettings(
            limit=LIMIT,
            cps=self.cps,
            cps_rule="window",
            cps_refusal=self.refusal,
            talk_time=Constant(0.5),
            ring_time=Constant(0.3),
            answer_rate=1.0,
            rise_lag=COUNTER_LAG / 2,
            fall_lag=COUNTER_LAG / 2,
        )


@dataclass
class Seen:
    """What gates saw.

    Attributes:
        most_used: slots in use, at most, at an admission.
        longest_dial: seconds from an admission to the provider's answer, at most. Dials that differ
            by more than 0.05 s on their way there may come too fast for the provider.
    """

    most_used: int = 0
    longest_dial: float = 0.0

    @classmethod
    def of_all(cls, seen: Iterable[Seen]) -> Seen:
        """What several gates saw together."""
        each = list(seen)
        return cls(max(one.most_used for one in each), max(one.longest_dial for one in each))


@dataclass(frozen=True)
class Outcome:
    """What came of it, by the simulator's truth.

    Attributes:
        refused: dials that the provider refused, in whatever form.
        lost, twice: leads that were never called, and those that were called more than once.
        most_dials: within any rolling second, those that were refused among them.
        seen: what the gates saw of it.
        first: seconds from when all waited to the first start.
        seconds: from the first start to the last.
        over: that, beside the floor.
    """

    refused: int
    lost: int
    twice: int
    most_dials: int
    seen: Seen
    first: float
    seconds: float
    over: float

    @classmethod
    def of(cls, case: Case, workspace: Workspace, began: float, seen: Seen) -> Outcome:
        """Look at the workspace when all is over; they waited from `began`, on its clock, on."""
        truth = workspace.truth()
        calls = [call for call in workspace.calls() if call.status != "error"]
        starts = sorted(call.placed_at for call in calls) or [began]
        counts = Counter(call.to_number for call in calls)
        seconds = starts[-1] - starts[0]
        return cls(
            refused=truth.refusals,
            lost=sum(not counts[number_of(lead)] for lead in range(case.leads)),
            twice=sum(count > 1 for count in counts.values()),
            most_dials=truth.most_dials_in_a_second,
            seen=seen,
            first=starts[0] - began,
            seconds=seconds,
            over=seconds * case.cps / (case.leads - 1),
        )

    @property
    def good(self) -> bool:
        """Whether the rate was kept, nobody was lost, and it was used."""
        return not (self.refused or self.lost or self.twice) and self.over <= MOST_OVER


async def by_admit(
    gate: callguard.Gate, dial: Callable[[callguard.Permit], Awaitable[Answer]]
) -> None:
    """Call one lead through `Gate.admit`, again after each refusal."""
    while True:
        permit = gate.admit()
        try:
            async with permit:
                answer = await dial(permit)
                if answer.get("disconnection_reason") == REFUSED_REASON:
                    permit.refused()
                else:
                    permit.placed(str(answer["call_id"]))
        except (CallRefused, aiohttp.ClientResponseError):
            if permit.state != "refused":
                raise
        if permit.state != "refused":
            return


async def by_place(
    gate: callguard.Gate, dial: Callable[[callguard.Permit], Awaitable[Answer]]
) -> None:
    """Call one lead through `Gate.place`; one that it gives up is lost."""
    try:
        await gate.place(dial)
    except (CallRefused, aiohttp.ClientResponseError) as error:
        if getattr(error, "status", 429) != 429:
            raise


WAYS = {"admit": by_admit, "place": by_place}


async def dial_all(gate: callguard.Gate, way: str, dial: Dial, leads: Iterable[int]) -> Seen:
    """Call the leads, all of which wait at once."""
    seen, now = Seen(), asyncio.get_running_loop().time

    async def looked_at(lead: int, permit: callguard.Permit) -> Answer:
        admitted_at = now()
        seen.most_used = max(seen.most_used, gate.statistics().usage.total or 0)
        try:
            return await dial(lead, permit)
        finally:
            seen.longest_dial = max(seen.longest_dial, now() - admitted_at)

    await asyncio.gather(*(WAYS[way](gate, partial(looked_at, lead)) for lead in leads))
    return seen


async def in_one(case: Case, ledger_url: str = "") -> Outcome:
    """The campaign by one process, under virtual time; its gates have a part of the leads each."""
    loop = asyncio.get_running_loop()
    workspace = Workspace(case.settings, loop.time)
    plan = Plan(case.settings, dial_jitter=case.jitter)
    draw = random.Random(plan.settings.seed)

    async def dial(lead: int, _permit: callguard.Permit) -> Answer:
        await asyncio.sleep(plan.dial_time(draw))
        return described(workspace.dial(to_number=number_of(lead)), workspace.provider_clock)

    async with AsyncExitStack() as stack:
        ledgers: list[RedisLedger | None] = [None]
        if case.gates > 1:
            shared = stack.enter_context(SharedLedger(ledger_url))
            ledgers = [shared.ledger() for _ in range(case.gates)]
        gates = [
            await stack.enter_async_context(
                callguard.open_gate(
                    API_KEY,
                    session=FakeSession(provider(workspace, plan)),
                    counts_ringing=True,
                    counter_lag=COUNTER_LAG,
                    refused=lambda error: isinstance(error, CallRefused),
                    cps=case.told_cps,
                    ledger=ledger,
                )
            )
            for ledger in ledgers
        ]
        began = loop.time()
        parts = (range(number, case.leads, case.gates) for number in range(case.gates))
        seen = await asyncio.gather(
            *(dial_all(gate, case.way, dial, part) for gate, part in zip(gates, parts, strict=True))
        )
    return Outcome.of(case, workspace, began, Seen.of_all(seen))


async def work(
    parent: Parent,
    ledger_url: str,
    name: str,
    url: str,
    api_key: str,
    way: str,
    cps: float | None,
) -> None:
    """Call the leads that the parent says, and tell it what was seen."""

    async def dial(lead: int, permit: callguard.Permit) -> Answer:
        body = {
            "from_number": "+10000000000",
            "to_number": number_of(lead),
            "idempotency_key": permit.id,
        }
        async with http.post(
            f"{url}/v2/create-phone-call", json=body, raise_for_status=True
        ) as response:
            answer: Answer = await response.json()
            return answer

    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {api_key}"}) as http,
        RedisLedger.from_url(ledger_url, name=name) as ledger,
        callguard.open_gate(
            api_key,
            base_url=url,
            ledger=ledger,
            counts_ringing=True,
            counter_lag=COUNTER_LAG,
            cps=cps,
        ) as gate,
    ):
        parent.tell(ready=True)
        while (said := await parent.hear()) is not None:
            parent.tell(**asdict(await dial_all(gate, way, dial, said["leads"])))


async def in_many(case: Case, ledger_url: str) -> Outcome:
    """The campaign by real processes on one ledger, each of which has its part of the leads."""
    name = uuid.uuid4().hex
    async with (
        serve(case.settings, latency=LATENCY) as simulated,
        workers(
            case.processes,
            work,
            ledger_url,
            name,
            simulated.url,
            simulated.api_key,
            case.way,
            case.told_cps,
        ) as crowd,
        asyncio.timeout(60 + 2 * case.leads / case.cps),
    ):
        began = simulated.workspace.now
        for number, worker in enumerate(crowd):
            worker.tell(leads=list(range(number, case.leads, case.processes)))
        said = await asyncio.gather(*(worker.expect() for worker in crowd))
        seen = Seen.of_all(Seen(**each) for each in said)
        return Outcome.of(case, simulated.workspace, began, seen)


def number_of(lead: int) -> str:
    """The number that a lead is called under."""
    return f"+1{lead:010}"


HEADINGS = (
    "refused by, through, in",
    "leads",
    "calls per second",
    "dials refused",
    "leads lost",
    "called twice",
    "most dials in a second",
    f"most slots in use, of {LIMIT}",
    "longest dial, s",
    "first start after, s",
    "first to last start, s",
    "floor, s",
    "over the floor",
)


def row(case: Case, outcome: Outcome) -> Sequence[object]:
    """A case's line in the table."""
    where = f"{case.processes} processes"
    if case.processes == 1:
        where = "one gate" if case.gates == 1 else f"{case.gates} gates under virtual time"
    return (
        f"{case.refusal}, {case.way}, {where}",
        case.leads,
        f"{case.cps:g}",
        outcome.refused,
        outcome.lost,
        outcome.twice,
        outcome.most_dials,
        outcome.seen.most_used,
        f"{outcome.seen.longest_dial:.3f}",
        f"{outcome.first:.2f}",
        f"{outcome.seconds:.2f}",
        f"{(case.leads - 1) / case.cps:.2f}",
        f"{outcome.over:.4f}",
    )


def cases(options: argparse.Namespace) -> list[Case]:
    """What the command line asks for."""
    where = [(1, gates) for gates in options.gates]
    where += [(processes, 1) for processes in options.processes]
    return [
        Case(leads, cps, refusal, way, processes, gates, options.dial_jitter, not options.untold)
        for (processes, gates), leads, cps, refusal, way in product(
            where, options.leads, options.cps, options.refusal, options.way
        )
    ]


async def carry_out_real(wanted: Sequence[Case], url: str, at_once: int) -> list[Outcome]:
    """Those of several processes, so many cases at a time."""
    turn = asyncio.Semaphore(at_once)

    async def one(case: Case) -> Outcome:
        async with turn:
            return await in_many(case, url)

    return await asyncio.gather(*(one(case) for case in wanted))


def carry_out(wanted: Sequence[Case], ledger: str | None, at_once: int) -> list[Outcome]:
    """All cases; first those under virtual time, which come first among them."""
    virtual = [case for case in wanted if case.processes == 1]
    real = [case for case in wanted if case.processes > 1]
    needs_server = real or any(case.gates > 1 for case in virtual)
    with server(ledger) if needs_server else nullcontext("") as url:
        outcomes = [run(in_one(case, url)) for case in virtual]
        return outcomes + asyncio.run(carry_out_real(real, url, at_once))


def main(arguments: Sequence[str] | None = None) -> bool:
    """The command; returns whether all is as it should be."""
    parser = command(__doc__)
    parser.add_argument("--leads", type=int, nargs="+", default=[30])
    parser.add_argument("--cps", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--refusal", nargs="+", choices=CPS_REFUSALS, default=CPS_REFUSALS)
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--gates", type=int, nargs="*", default=[1, 4], help="under virtual time")
    parser.add_argument("--processes", type=int, nargs="*", default=[4], help="in real time")
    parser.add_argument("--at-once", type=int, default=1, help="cases of real processes at a time")
    parser.add_argument("--untold", action="store_true", help="don't tell the gates of the rate")
    parser.add_argument(
        "--dial-jitter", type=float, default=0.02, help="seconds by which dials differ from 0.2 s"
    )
    options = parser.parse_args(arguments)
    if min(options.leads) < 2:
        parser.error("from the first start to the last there must be two leads")
    print(f"{surroundings()}; limit {LIMIT}, dials of 0.2 s ± {options.dial_jitter:g} s\n")
    wanted = cases(options)
    outcomes = carry_out(wanted, options.ledger, options.at_once)
    print(markdown(HEADINGS, map(row, wanted, outcomes)))
    return all(outcome.good for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
