"""Whether callers go when they were told that they would: a busy campaign under virtual time.

    python -m tests.campaigns.foresight

Callers come by chance, as many as the gate can admit, more or fewer as its queue is short or long.
Each that joins the queue asks `gate.eta()` first, and waits until it goes. Prints, over so many
waits in each workspace, the share that went before `p50`, which should be near 0.5, and before
`p90`, which should be near 0.9; the same for those who came when few had gone, for those near the
front of the queue and for those further behind; and how far off `p50` was for the typical caller.
Where the trunk's rate alone is in the way, a wait is foreseen to the moment: such a one went before
both, and is counted as exact.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import callguard
from callguard.simulator import CallRefused, Workspace
from tests.campaigns.one_gate import API_KEY, KNOWLEDGE, open_courier, plans, provider
from tests.campaigns.plan import Plan
from tests.support.fake_network import FakeSession
from tests.support.virtual_time import run

OTHERS: Mapping[str, Mapping[str, float]] = {
    "nobody else": {},
    "others call in": {"inbound_rate": 0.05},
}
"""By name: who calls beside us, on a limit of 20."""

RATES: Mapping[str, float | None] = {"no rate": None, "0.3 a second": 0.3, "1 a second": 1.0}
"""By name: the rate of the trunk, which the gate is told. The slots alone allow 0.2 to 0.35."""

RESERVE = 3
"""Slots left free where others call in."""

FEW = 32
"""Waits at the beginning, when few grants were seen."""

FRONT = 5
"""The places in the queue that are near its front."""

SHORT, LONG = 10, 30
"""Callers in a queue that grows, and in one that shrinks."""


EXACT = 0.01
"""Seconds by which a wait may differ from what was foreseen and is exact all the same."""


@dataclass(frozen=True)
class Wait:
    """What a caller was told, and how long it waited, in seconds; and its place in the queue."""

    told: callguard.Eta
    waited: float
    place: int

    @property
    def exact(self) -> bool:
        """Whether it went when it was told, to the moment."""
        return abs(self.waited - self.told.p50) <= EXACT

    def went_before(self, seconds: float) -> bool:
        """Whether it went by then."""
        return self.waited <= seconds + EXACT


def arrivals(queued: int) -> float:
    """Callers a second that come while so many wait."""
    if queued < SHORT:
        return 0.4
    return 0.25 if queued < LONG else 0.05


LANES = callguard.Lane("urgent", priority=-1), callguard.Lane("default", default=True)


async def carry_out(plan: Plan, waits: int, urgent: float = 0.0, ahead: int = 0) -> list[Wait]:
    """The first `waits` waits of which something was foreseen.

    Beside those callers as many `urgent` ones come in a second, who go before them, and so many are
    `ahead` from the beginning.
    """
    loop = asyncio.get_running_loop()
    workspace = Workspace(plan.settings, loop.time)
    draw = random.Random(plan.settings.seed)
    found: list[Wait] = []

    async def call(gate: callguard.Gate, lane: str = "default") -> None:
        told, place, came = gate.eta(lane), _queued(gate) + 1, loop.time()
        async with gate.admit(lane) as permit:
            if lane == "default" and told is not None and told.p90 > 0.0:
                found.append(Wait(told, loop.time() - came, place))
            await asyncio.sleep(plan.dial_time(draw))
            permit.placed(workspace.dial().call_id)

    async def come(gate: callguard.Gate, callers: list[asyncio.Task[None]]) -> None:
        while urgent:
            await asyncio.sleep(draw.expovariate(urgent))
            callers.append(asyncio.create_task(call(gate, "urgent")))

    async with callguard.open_gate(
        API_KEY,
        session=FakeSession(provider(workspace, plan)),
        track=None,
        counts_ringing=plan.counts_ringing,
        counter_lag=plan.counter_lag,
        refused=lambda error: isinstance(error, CallRefused),
        lanes=[replace(lane, reserve=plan.reserve) for lane in LANES],
        cps=plan.cps,
    ) as gate:
        courier = open_courier(workspace, plan, gate)
        callers = list[asyncio.Task[None]]()
        callers.append(asyncio.create_task(come(gate, callers)))
        callers += [asyncio.create_task(call(gate, "urgent")) for _ in range(ahead)]
        while len(found) < waits:
            await asyncio.sleep(draw.expovariate(arrivals(_queued(gate))))
            callers.append(asyncio.create_task(call(gate)))
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        if courier is not None:
            courier.close()
    return found[:waits]


def _queued(gate: callguard.Gate) -> int:
    return gate.statistics().waiting["default"]


def waits_of(plan: Plan, waits: int, urgent: float = 0.0, ahead: int = 0) -> list[Wait]:
    """Carry out the plan in a loop of its own."""
    random.seed(plan.settings.seed)  # tenacity draws its jitter from the module's own source
    return run(carry_out(plan, waits, urgent, ahead))


def shares(waits: Sequence[Wait]) -> tuple[float, float]:
    """The shares that went before `p50`, and before `p90`."""
    halves = sum(wait.went_before(wait.told.p50) for wait in waits)
    most = sum(wait.went_before(wait.told.p90) for wait in waits)
    return halves / len(waits), most / len(waits)


def plan_of(
    knowledge: str, evidence: str, others: str, rate: str, seed: int, unanswered: str = "ring out"
) -> Plan:
    """A busy workspace under one state of knowledge."""
    settings = {**OTHERS[others], "cps": RATES[rate]}
    (plan,) = plans(knowledge, [seed], 0, unanswered, evidence, **settings)
    return replace(plan, cps=RATES[rate], reserve=RESERVE if OTHERS[others] else 0)


CELLS: Sequence[tuple[str, str, str, str]] = [
    (knowledge, "no evidence", others, rate)
    for knowledge in KNOWLEDGE
    for others in OTHERS
    for rate in RATES
] + [
    (knowledge, "webhooks", "nobody else", rate)
    for knowledge in KNOWLEDGE
    for rate in ("no rate", "0.3 a second")
]
"""What is known of ringing and of ends, who calls beside us, and the rate."""


def _share(waits: Sequence[Wait]) -> str:
    if not waits:
        return "-"
    p50, p90 = shares(waits)
    return f"{p50:.2f} / {p90:.2f} of {len(waits)}"


def _row(campaigns: Sequence[Sequence[Wait]]) -> str:
    waits = [wait for campaign in campaigns for wait in campaign]
    p50, p90 = shares(waits)
    off = statistics.median(
        abs(wait.told.p50 - wait.waited) / max(1.0, wait.waited) for wait in waits
    )
    return " | ".join(
        (
            str(len(waits)),
            f"{p50:.3f}",
            f"{p90:.3f}",
            _share([wait for campaign in campaigns for wait in campaign[:FEW]]),
            _share([wait for wait in waits if wait.place <= FRONT]),
            _share([wait for wait in waits if wait.place > FRONT]),
            f"{statistics.median(wait.waited for wait in waits):.0f} s",
            f"{off:.0%}",
            f"{statistics.mean(wait.exact for wait in waits):.0%}",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waits", type=int, default=2000, help="in each workspace")
    parser.add_argument("--seeds", type=int, default=4, help="campaigns that they are of")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--urgent", type=float, default=0.0, help="callers a second on a higher lane, beside those"
    )
    parser.add_argument(
        "--ahead", type=int, default=0, help="callers on that lane who all come at the beginning"
    )
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print(
        "| ringing | evidence | others | the trunk's rate | waits | before p50 | before p90 "
        f"| the first {FEW} | places to {FRONT} | further behind | median wait | p50 off by "
        "| exact |"
    )
    print(f"|{'---|' * 13}", flush=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for cell in CELLS:
            each = -(-options.waits // options.seeds)
            made = [plan_of(*cell, seed) for seed in seeds]
            carry = partial(waits_of, waits=each, urgent=options.urgent, ahead=options.ahead)
            campaigns = list(pool.map(carry, made))
            print(f"| {' | '.join(cell)} | {_row(campaigns)} |", flush=True)


if __name__ == "__main__":
    main()
