"""A campaign of calls through the gate, against the simulator's model, under virtual time.

The production fetcher and gate run as they are; only the network and the clock are replaced.

    python -m tests.campaign --seeds 100

prints, for each thing that may be known of the provider, the largest count above the ceiling, the
refusals, the share of the limit that was used, and the readings per placed call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import callguard
from callguard.simulator import CallRefused, Exponential, Faults, Truth, Workspace
from callguard.simulator import WorkspaceSettings as Settings
from tests.fake_network import FakeSession, Reply, hang
from tests.virtual_time import run

RAMP = 120.0
"""Seconds until the share is measured: two mean lengths of a call."""


@dataclass(frozen=True)
class Plan:
    """What is dialled, and what the gate is told of the workspace."""

    settings: Settings
    leads: int = 2000
    counts_ringing: bool | None = None
    counter_lag: float = 2.0
    reserve: int = 0
    faults_rate: float = 0.0
    reading_seconds: float = 0.1
    dial_seconds: float = 0.2


@dataclass(frozen=True)
class Report:
    """What came of it; the share is of the limit, by calls that are live, ringing ones too."""

    excess: int
    refusals: int
    share: float
    readings_per_call: float
    dialled_once: bool
    left_over: int


def workspace_of_the_issue(seed: int, *, counts_ringing: bool) -> Settings:
    """Calls of 60 s mean, ring of 10 s mean and 30 s at most, 30 % unanswered, limit 20."""
    return Settings(
        limit=20,
        talk_time=Exponential(60.0),
        ring_time=Exponential(10.0, at_most=30.0),
        answer_rate=0.7,
        ring_limit=30.0,
        counts_ringing=counts_ringing,
        rise_lag=1.0,
        fall_lag=1.0,
        seed=seed,
    )


async def carry_out(plan: Plan) -> Report:
    """Dial every lead of the plan; all of them wait from the start."""
    loop = asyncio.get_running_loop()
    workspace = Workspace(plan.settings, loop.time)
    dials: dict[int, int] = dict.fromkeys(range(plan.leads), 0)
    picture: dict[str, Truth] = {}

    async def dial(gate: callguard.Gate, lead: int) -> None:
        while True:
            try:
                async with gate.admit() as permit:
                    picture["last"] = workspace.truth()
                    await asyncio.sleep(plan.dial_seconds)
                    call = workspace.dial()
                    dials[lead] += 1
                    permit.placed(call.call_id)
                    return
            except CallRefused:
                continue

    async def look_after_ramp() -> None:
        await asyncio.sleep(RAMP)
        picture["ramp"] = workspace.truth()

    async with callguard.open_gate(
        "key_test",
        session=FakeSession(partial(_answer, workspace, plan, _faults(plan))),
        counts_ringing=plan.counts_ringing,
        counter_lag=plan.counter_lag,
        lanes=[callguard.Lane("default", reserve=plan.reserve)],
    ) as gate:
        watch = asyncio.create_task(look_after_ramp())
        await asyncio.gather(*(dial(gate, lead) for lead in range(plan.leads)))
        readings = workspace.truth().readings
        watch.cancel()
        await asyncio.sleep(2 * RAMP)
        async with gate.admit() as permit:  # a last reading, which finds every call absorbed
            permit.cancel()
        await asyncio.sleep(2 * RAMP)
        async with gate.admit() as permit:
            permit.cancel()
        usage = gate.statistics().usage
    truth = workspace.truth()
    return Report(
        excess=-plan.settings.limit if truth.worst_excess is None else truth.worst_excess,
        refusals=truth.refusals,
        share=_share(picture, plan.settings.limit),
        readings_per_call=readings / plan.leads,
        dialled_once=set(dials.values()) == {1},
        left_over=usage.dispatching + usage.unseen,
    )


def _share(picture: Mapping[str, Truth], limit: int) -> float:
    if "ramp" not in picture or picture["last"].elapsed <= picture["ramp"].elapsed:
        return float("nan")
    begin, end = picture["ramp"], picture["last"]
    seconds = end.elapsed - begin.elapsed
    return (end.live_seconds - begin.live_seconds) / seconds / limit


def _faults(plan: Plan) -> Faults:
    return Faults(rate=plan.faults_rate, seed=plan.settings.seed)


async def _answer(
    workspace: Workspace,
    plan: Plan,
    faults: Faults,
    method: str,
    url: str,
    headers: Mapping[str, str],
) -> Reply:
    await asyncio.sleep(plan.reading_seconds / 2)
    reading = workspace.concurrency()
    await asyncio.sleep(plan.reading_seconds / 2)
    match faults.next(workspace.elapsed):
        case None:
            return Reply.json(reading)
        case "hang":
            return await hang(method, url, headers)
        case "cut":
            raise ConnectionResetError("cut")
        case "broken-json":
            return Reply(body=b'{"current_concurrency": ')
        case "wrong-types":
            return Reply.json({name: str(value) for name, value in reading.items()})
        case "429-retry-after":
            return Reply.json({"status": "error"}, 429, Retry_After="1")
        case status:
            return Reply.json({"status": "error"}, int(status))


def report(plan: Plan) -> Report:
    """Carry out the plan in a loop of its own."""
    random.seed(plan.settings.seed)  # tenacity draws its jitter from the module's own source
    return run(carry_out(plan))


KNOWLEDGE: Mapping[str, tuple[bool, bool | None]] = {
    "ringing counted, and known": (True, True),
    "ringing counted, not known": (True, None),
    "ringing not counted": (False, None),
}
"""By name: whether the workspace counts ringing calls, and what the gate is told of that."""


def plans(name: str, seeds: Iterable[int], leads: int, unanswered: str) -> list[Plan]:
    """The issue's campaign under one state of knowledge, for each seed."""
    counted, known = KNOWLEDGE[name]
    made = []
    for seed in seeds:
        settings = workspace_of_the_issue(seed, counts_ringing=counted)
        if unanswered == "drawn":
            settings = replace(settings, unanswered_ring=Exponential(10.0, at_most=30.0))
        made.append(Plan(settings, leads=leads, counts_ringing=known))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--leads", type=int, default=2000)
    parser.add_argument(
        "--unanswered",
        choices=["ring out", "drawn"],
        default="ring out",
        help="whether an unanswered call rings for 30 s, or for a time drawn as for answered ones",
    )
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in KNOWLEDGE:
            made = plans(name, seeds, options.leads, options.unanswered)
            reports = list(pool.map(report, made))
            shares = [each.share for each in reports]
            print(
                f"{name}: {len(reports)} seeds, largest count - ceiling "
                f"{max(each.excess for each in reports)}, refusals "
                f"{sum(each.refusals for each in reports)}, share of the limit "
                f"{statistics.mean(shares):.4f} (least {min(shares):.4f}), readings per call "
                f"{statistics.mean(each.readings_per_call for each in reports):.3f}, every lead "
                f"dialled once: {all(each.dialled_once for each in reports)}, left on the books "
                f"{sum(each.left_over for each in reports)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
