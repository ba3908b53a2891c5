"""A campaign of calls through the gate, against the simulator's model, under virtual time.

The production fetcher and gate run as they are; only the network and the clock are replaced.

    python -m tests.campaigns.one_gate --seeds 100

prints, for each thing that may be known of the provider, the largest count above the ceiling, the
refusals, the share of the limit that was used, and the readings per placed call. With ``--cps``
calls have a rate, of which the gate is told with ``--tell-rate`` only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

import callguard
from callguard import webhooks
from callguard.simulator import (
    CPS_REFUSALS,
    CPS_RULES,
    Call,
    CallRefused,
    Courier,
    Deliveries,
    Delivery,
    Exponential,
    Faults,
    Truth,
    Uniform,
    WebhookPlan,
    Workspace,
)
from callguard.simulator.bodies import described
from tests.campaigns.plan import Evidence, Plan, Report, Settings
from tests.support.fake_network import FakeSession, Reply, hang
from tests.support.virtual_time import run

API_KEY = "key_test"

RAMP = 120.0
"""Seconds until the share is measured: two mean lengths of a call."""


def workspace_of_the_issue(seed: int, *, counts_ringing: bool) -> Settings:
    """Calls of 60 s mean, ring of 10 s mean, 30 s at most, 30 % unanswered, limit 20; no rate."""
    return Settings(
        limit=20,
        cps=None,
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
    draw = random.Random(plan.settings.seed)

    async def dial(gate: callguard.Gate, lead: int) -> None:
        while True:
            try:
                async with gate.admit() as permit:
                    picture["last"] = workspace.truth()
                    await asyncio.sleep(plan.dial_time(draw))
                    call = workspace.dial()
                    if call.status == "error":
                        permit.refused()
                        continue
                    dials[lead] += 1
                    permit.placed(call.call_id)
                    return
            except CallRefused:
                continue

    async def look_after_ramp() -> None:
        await asyncio.sleep(RAMP)
        picture["ramp"] = workspace.truth()

    async with callguard.open_gate(
        API_KEY,
        session=FakeSession(provider(workspace, plan)),
        counts_ringing=plan.counts_ringing,
        counter_lag=plan.counter_lag,
        refused=lambda error: isinstance(error, CallRefused),
        lanes=[callguard.Lane("default", reserve=plan.reserve, default=True)],
        cps=plan.cps,
        reserved_inbound=plan.reserved_inbound,
        ends_free_at_once=plan.ends_free_at_once,
        track="ask" if plan.evidence and plan.evidence.asking else None,
    ) as gate:
        courier = open_courier(workspace, plan, gate)
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
        if courier is not None:
            courier.close()
    truth = workspace.truth()
    return Report(
        leads=plan.leads,
        placed=truth.placed,
        excess=-plan.settings.limit if truth.worst_excess is None else truth.worst_excess,
        refusals=truth.refusals,
        too_fast=truth.rate_refusals,
        most_dials=truth.most_dials_in_a_second,
        twice=sum(count > 1 for count in dials.values()),
        not_dialled=sum(not count for count in dials.values()),
        share=_share(picture, plan.settings.limit),
        readings=readings,
        left_over=usage.dialling + usage.uncounted,
    )


def _share(picture: Mapping[str, Truth], limit: int) -> float:
    if "ramp" not in picture or picture["last"].elapsed <= picture["ramp"].elapsed:
        return float("nan")
    begin, end = picture["ramp"], picture["last"]
    seconds = end.elapsed - begin.elapsed
    return (end.live_seconds - begin.live_seconds) / seconds / limit


def open_courier(workspace: Workspace, plan: Plan, *gates: callguard.Gate) -> Courier | None:
    """Delivers the webhooks that the plan has, each to the next of `gates`, until it is closed."""
    if plan.evidence is None or plan.evidence.webhooks is None:
        return None
    now = asyncio.get_running_loop().time
    receivers = cycle(gates)

    def deliver(delivery: Delivery) -> None:
        with suppress(webhooks.WebhookError):
            webhooks.receive(
                next(receivers), delivery.body, delivery.signature, api_key=API_KEY, now=now
            )

    deliveries = Deliveries(workspace, plan.evidence.webhooks, api_key=API_KEY, wall_clock=now)
    return Courier(workspace, deliveries, deliver)


def provider(workspace: Workspace, plan: Plan) -> Callable[..., Awaitable[Reply]]:
    """A handler for `FakeSession`: the workspace, as slow and as faulty as the plan has it."""
    return partial(_answer, workspace, plan, _faults(plan))


def _faults(plan: Plan) -> Faults:
    return Faults(
        hanging=plan.hanging,
        rate=plan.faults_rate,
        kinds=plan.faults,
        seed=plan.settings.seed,
    )


async def _answer(
    workspace: Workspace,
    plan: Plan,
    faults: Faults,
    method: str,
    url: str,
    headers: Mapping[str, str],
) -> Reply:
    await asyncio.sleep(plan.reading_seconds / 2)
    if "/v2/get-call/" in url:
        return _asked(workspace, workspace.call(url.rpartition("/")[2]))
    reading = workspace.concurrency()
    await asyncio.sleep(plan.reading_seconds / 2)
    match faults.next(workspace.elapsed):
        case None:
            return Reply.json(reading, Date=_date(workspace))
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


def _asked(workspace: Workspace, call: Call | None) -> Reply:
    date = _date(workspace)
    if call is None:
        return Reply.json({"status": "error"}, 422, Date=date)
    return Reply.json(described(call, workspace.provider_clock), Date=date)


def _date(workspace: Workspace) -> str:
    return workspace.provider_clock.date(workspace.now)


def report(plan: Plan) -> Report:
    """Carry out the plan in a loop of its own."""
    random.seed(plan.settings.seed)  # tenacity draws its jitter from the module's own source
    return run(carry_out(plan))


WEBHOOKS = WebhookPlan(late=Uniform(0.1, 0.5))
BAD_WEBHOOKS = replace(
    WEBHOOKS, lost=0.2, duplicated=0.2, shuffled=0.2, held_back=Uniform(0.0, 5.0), forged=0.2
)

EVIDENCE: Mapping[str, Evidence | None] = {
    "no evidence": None,
    "asking": Evidence(asking=True),
    "webhooks": Evidence(webhooks=WEBHOOKS),
    "webhooks, 20 % lost, doubled, shuffled, forged": Evidence(webhooks=BAD_WEBHOOKS),
}
"""By name: what the gate is told of its calls."""

KNOWLEDGE: Mapping[str, tuple[bool, bool | None]] = {
    "ringing counted, and known": (True, True),
    "ringing counted, not known": (True, None),
    "ringing not counted": (False, None),
}
"""By name: whether the workspace counts ringing calls, and what the gate is told of that."""


def plans(
    name: str,
    seeds: Iterable[int],
    leads: int,
    unanswered: str,
    evidence: str = "no evidence",
    **rate: Any,
) -> list[Plan]:
    """The issue's campaign under one state of knowledge, for each seed, with a rate if given."""
    counted, known = KNOWLEDGE[name]
    made = []
    for seed in seeds:
        settings = replace(workspace_of_the_issue(seed, counts_ringing=counted), **rate)
        if unanswered == "drawn":
            settings = replace(settings, unanswered_ring=Exponential(10.0, at_most=30.0))
        told = EVIDENCE[evidence]
        if told is not None and told.webhooks is not None:
            told = replace(told, webhooks=replace(told.webhooks, seed=seed))
        made.append(Plan(settings, leads=leads, counts_ringing=known, evidence=told))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--leads", type=int, default=2000)
    parser.add_argument("--evidence", choices=[*EVIDENCE, "all"], default="no evidence")
    parser.add_argument("--workspace", choices=[*KNOWLEDGE, "all"], default="all")
    parser.add_argument(
        "--unanswered",
        choices=["ring out", "drawn"],
        default="ring out",
        help="whether an unanswered call rings for 30 s, or for a time drawn as for answered ones",
    )
    parser.add_argument(
        "--hanging", type=float, default=0.0, help="the share of the readings that hang"
    )
    parser.add_argument("--cps", type=float, help="calls that may start per second; else no rule")
    parser.add_argument("--cps-rule", choices=CPS_RULES, default=CPS_RULES[0])
    parser.add_argument("--cps-refusal", choices=CPS_REFUSALS, default=CPS_REFUSALS[0])
    parser.add_argument("--tell-rate", action="store_true", help="tell the gate of the rate")
    parser.add_argument(
        "--dial-jitter", type=float, default=0.0, help="seconds by which dials differ from 0.2 s"
    )
    options = parser.parse_args()
    told_cps = options.cps if options.tell_rate else None
    rate = {name: getattr(options, name) for name in ("cps", "cps_rule", "cps_refusal")}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    told = list(EVIDENCE) if options.evidence == "all" else [options.evidence]
    print(
        "| the workspace | evidence | seeds | largest count - ceiling | refusals "
        "| of which too fast | most dials in a second | share, mean | share, least "
        "| readings per call | leads lost | every lead once | left on the ledger |"
    )
    print(f"|{'---|' * 13}")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name in KNOWLEDGE if options.workspace == "all" else [options.workspace]:
            for evidence in told:
                made = [
                    replace(
                        plan,
                        cps=told_cps,
                        dial_jitter=options.dial_jitter,
                        hanging=options.hanging,
                    )
                    for plan in plans(
                        name, seeds, options.leads, options.unanswered, evidence, **rate
                    )
                ]
                print(f"| {name} | {evidence} | {_row(list(pool.map(report, made)))} |", flush=True)


def _row(reports: list[Report]) -> str:
    shares = [each.share for each in reports]
    return " | ".join(
        str(figure)
        for figure in (
            len(reports),
            max(each.excess for each in reports),
            sum(each.refusals for each in reports),
            sum(each.too_fast for each in reports),
            max(each.most_dials for each in reports),
            f"{statistics.mean(shares):.4f}",
            f"{min(shares):.4f}",
            f"{statistics.mean(each.readings / each.leads for each in reports):.2f}",
            sum(each.not_dialled for each in reports),
            all(each.dialled_once for each in reports),
            sum(each.left_over for each in reports),
        )
    )


if __name__ == "__main__":
    main()
