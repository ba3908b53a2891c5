"""How soon a gate says that a premise of its promise doesn't hold, and how often it is wrong.

    python -m tests.campaigns.premises

Leads are dialled for half an hour in a simulated workspace, as fast as the gate lets them go. Where
a premise is broken, prints in how many of the campaigns that was said and the seconds until then;
and in how many a premise was said to be broken that holds.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import callguard
from callguard.events import Event, PremiseBroken
from callguard.simulator import CallRefused, Exponential, Workspace
from tests.campaigns.one_gate import API_KEY, open_courier, plans, provider
from tests.campaigns.plan import Plan
from tests.support.fake_network import FakeSession
from tests.support.virtual_time import run

LASTS = 1800.0
"""Seconds."""


COUNTED = "ringing counted, and known"
NOT_KNOWN = "ringing counted, not known"
NOT_COUNTED = "ringing not counted"


@dataclass(frozen=True)
class World:
    """What the workspace is like, and what the gate is told; `breaks` names what doesn't hold.

    Attributes:
        told: what the gate is told besides; it goes before what the row says of ringing.
        where: what may be so of ringing.
    """

    settings: Mapping[str, Any]
    cps: float | None = None
    reserve: int = 0
    breaks: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    where: tuple[str, ...] = (COUNTED, NOT_KNOWN, NOT_COUNTED)


WORLDS: Mapping[str, World] = {
    "a rate of 1, said to be 3": World({"cps": 1.0}, cps=3.0, breaks="cps"),
    "a rate of 1, said to be 1.5": World({"cps": 1.0}, cps=1.5, breaks="cps"),
    "a rate of 1, and said": World({"cps": 1.0}, cps=1.0),
    "others call in, 6 a minute, and no reserve": World({"inbound_rate": 0.1}, breaks="reserve"),
    "others call in, 60 a minute, and no reserve": World({"inbound_rate": 1.0}, breaks="reserve"),
    "others call in, 1 a minute, and a reserve of 5": World({"inbound_rate": 1 / 60}, reserve=5),
    "a counter 5 s late, said to be 2": World(
        {"rise_lag": 5.0, "fall_lag": 5.0}, breaks="counter_lag"
    ),
    "a counter that shows calls after 10 s, said to be 2": World(
        {"rise_lag": 10.0}, breaks="counter_lag"
    ),
    "a counter 5 s late, and said": World(
        {"rise_lag": 5.0, "fall_lag": 5.0}, told={"counter_lag": 5.5}
    ),
    "calls ring for up to 90 s, said to be 30": World(
        {"ring_time": Exponential(20.0, at_most=90.0), "ring_limit": 90.0},
        breaks="ring_limit",
        where=(NOT_KNOWN, NOT_COUNTED),
    ),
    "calls ring for up to 90 s, and said": World(
        {"ring_time": Exponential(20.0, at_most=90.0), "ring_limit": 90.0},
        told={"ring_limit": 90.0},
    ),
    "ringing is not counted, said to be": World(
        {}, breaks="counts_ringing", told={"counts_ringing": True}, where=(NOT_COUNTED,)
    ),
    "nobody else, no rate": World({}),
}
"""By name."""

KNOWN = (
    (COUNTED, "no evidence"),
    (COUNTED, "webhooks"),
    (COUNTED, "webhooks, 20 % lost, doubled, shuffled, forged"),
    (NOT_KNOWN, "webhooks"),
    (NOT_COUNTED, "no evidence"),
    (NOT_COUNTED, "webhooks"),
    (NOT_COUNTED, "webhooks, 20 % lost, doubled, shuffled, forged"),
    (NOT_COUNTED, "asking"),
)
"""What the gate is told of ringing, and of its calls."""


async def carry_out(
    plan: Plan, leads_per_second: float, told: Mapping[str, Any]
) -> dict[str, float]:
    """When each premise was said to be broken, in seconds since the gate was opened."""
    loop = asyncio.get_running_loop()
    workspace = Workspace(plan.settings, loop.time)
    draw = random.Random(plan.settings.seed)
    began, said = loop.time(), dict[str, float]()

    def hear(event: Event) -> None:
        if isinstance(event, PremiseBroken):
            said[event.premise] = loop.time() - began

    async def call(gate: callguard.Gate) -> None:
        async with gate.admit() as permit:
            await asyncio.sleep(plan.dial_time(draw))
            try:
                permit.placed(workspace.dial().call_id)
            except CallRefused:
                permit.refused(429)

    known = {"counts_ringing": plan.counts_ringing, "counter_lag": plan.counter_lag, **told}
    async with callguard.open_gate(
        API_KEY,
        session=FakeSession(provider(workspace, plan)),
        **known,
        track="ask" if plan.evidence and plan.evidence.asking else None,
        lanes=[callguard.Lane("default", reserve=plan.reserve, default=True)],
        cps=plan.cps,
        listener=hear,
    ) as gate:
        courier = open_courier(workspace, plan, gate)
        callers = set[asyncio.Task[None]]()
        while loop.time() < began + LASTS:
            if gate.statistics().waiting["default"] < 10:
                caller = asyncio.create_task(call(gate))
                callers.add(caller)
                caller.add_done_callback(callers.discard)
            await asyncio.sleep(draw.expovariate(leads_per_second))
        for caller in list(callers):
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        if courier is not None:
            courier.close()
    return said


def said_in(name: str, knowledge: str, evidence: str, seed: int) -> dict[str, float]:
    """What was said, and when, in one campaign in a loop of its own."""
    world = WORLDS[name]
    random.seed(seed)  # tenacity draws its jitter from the module's own source
    (plan,) = plans(knowledge, [seed], 0, "ring out", evidence, **world.settings)
    plan = replace(plan, cps=world.cps, reserve=world.reserve)
    return run(carry_out(plan, 0.5 if world.cps is None else 3.0, world.told))


def row(seeds: Sequence[int], cell: tuple[str, str, str]) -> str:
    """One line of the table."""
    name, knowledge, evidence = cell
    breaks = WORLDS[name].breaks
    campaigns = [said_in(name, knowledge, evidence, seed) for seed in seeds]
    wrong = sum(any(premise != breaks for premise in said) for said in campaigns)
    times = sorted(said[breaks] for said in campaigns if breaks in said)
    right = "-"
    if breaks:
        right = f"{len(times)} of {len(campaigns)}"
        if times:
            right += f", median {statistics.median(times):.0f} s, longest {times[-1]:.0f} s"
    return f"| {name} | {knowledge}, {evidence} | {breaks or '-'} | {right} | {wrong} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="campaigns in each workspace")
    parser.add_argument("--only", default="", help="worlds whose name matches this pattern")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    print("| world | what is known | broken | said | said wrongly |\n|---|---|---|---|---|")
    cells = [
        (name, *known)
        for name, world in WORLDS.items()
        for known in KNOWN
        if known[0] in world.where and re.search(options.only, name)
    ]
    with ProcessPoolExecutor(options.processes, initializer=_quiet) as pool:
        for line in pool.map(partial(row, range(options.seeds)), cells):
            print(line, flush=True)


def _quiet() -> None:
    logging.getLogger("callguard").setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
