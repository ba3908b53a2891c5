"""The same leads, the same simulated workspace and seed, under virtual time, by many dialers.

    python -m tests.benchmarks.campaign --svg docs/campaign.svg

prints a table for each workspace as Markdown, writes the figures as JSON, and draws them;
``--draw FIGURES.json`` draws what was written before. All leads wait from the beginning. A share is
that of the oracle's calls per hour, until the last lead's call is placed. Several workers of
callguard share their ledger on a real server, which is started for it, and told the virtual time;
where burst is on they would only repeat what is found where it is off, because no lane bursts. A
gate with a ledger of its own that gets evidence may learn that ringing calls are counted.

Each workspace takes one call per second, the provider's default; ``--cps`` says otherwise. The
oracle keeps that, and a gate is told it. Whoever loses leads has no speed in the table: it is
quicker because it calls fewer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from callguard.simulator import CPS_REFUSALS, CPS_RULES
from callguard.testing import RedisServer
from tests.benchmarks.dialers import (
    DIALERS,
    LIST,
    ORACLE,
    ORACLES,
    QUESTION,
    READING,
    SHARED_DIALERS,
    Dialer,
    World,
)
from tests.benchmarks.tables import markdown, write_json
from tests.benchmarks.workspaces import DEFAULT_RATE, EVERY_WORKSPACE, WORKSPACES, Rate, plan_in
from tests.support.seeded import seeded
from tests.support.virtual_time import run

SURCHARGE = 0.10
"""USD a minute, for the whole length of each call that began above the limit
(docs.retellai.com/deploy/concurrency, read 2026-11-22)."""

EVERY_DIALER: Mapping[str, Dialer] = {**DIALERS, **SHARED_DIALERS}

BURST = {False: "burst off", True: "burst on"}

HEADER = (
    "dialer",
    "calls per hour",
    "share of the oracle",
    "leads lost",
    "refused dials",
    "of which too fast",
    "most dials in a second",
    "peak - ceiling",
    "seconds over the limit",
    "surcharge, USD",
    "readings per call",
    "most readings in a second",
    "readings refused",
    "list-calls per call",
    "get-calls per call",
    "mean wait, min",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one dialer's campaign.

    Attributes:
        calls_per_hour: until the last lead was dialled; says nothing where leads are lost.
        lost: leads that were never called: given up, or taken for called because a refused call
            looked like a success.
        refused: dials that the workspace refused.
        too_fast: those of them that came faster than calls may start.
        most_dials: within any rolling second, those that were refused among them.
        over_ceiling: the highest count that a call of the dialer's own made, less the normal
            ceiling, which holds for whoever doesn't mean to burst; in calls.
        seconds_over: with the count above the normal limit, whoever's calls those are.
        surcharge: in USD; None where burst is off. Others' calls have their part in it.
        readings_per_call: requests for the counter.
        most_readings: that began within one second.
        readings_refused: because requests were too many.
        lists_per_call: requests about many calls at once.
        questions_per_call: requests about single calls.
        mean_wait: seconds from the beginning until a lead's call was placed.
    """

    calls_per_hour: float
    lost: int
    refused: int
    too_fast: int
    most_dials: int
    over_ceiling: int
    seconds_over: float
    surcharge: float | None
    readings_per_call: float
    most_readings: int
    readings_refused: int
    lists_per_call: float
    questions_per_call: float
    mean_wait: float


@dataclass(frozen=True, slots=True)
class Job:
    """One dialer in one of `EVERY_WORKSPACE`, and the address of a server if it needs one."""

    dialer: str
    leads: int
    seed: int
    workspace: str
    burst: bool
    ledger: str = ""
    rate: Rate = DEFAULT_RATE


def carry_out(job: Job) -> Figures:
    """Run one campaign in a loop of its own."""
    with seeded(job.seed):
        return run(_campaign(job))


async def _campaign(job: Job) -> Figures:
    kind = EVERY_WORKSPACE[job.workspace]
    if job.dialer in ORACLES:  # they are never refused, and so know nothing of a late counter
        kind = replace(kind, refuses_by_reported=False)
    plan = plan_in(
        kind,
        leads=job.leads,
        seed=job.seed,
        burst=job.burst,
        rate=job.rate,
    )
    world = World(plan, job.ledger)
    await EVERY_DIALER[job.dialer](world)
    truth = await world.until_all_are_over()
    assert truth.worst_excess is not None
    return Figures(
        calls_per_hour=truth.placed / world.over_at * 3600,
        lost=job.leads - truth.placed,
        refused=truth.refusals,
        too_fast=truth.rate_refusals,
        most_dials=truth.most_dials_in_a_second,
        over_ceiling=truth.worst_excess + plan.settings.full_limit - plan.settings.limit,
        seconds_over=truth.seconds_over_limit,
        surcharge=truth.surcharge_seconds / 60 * SURCHARGE if job.burst else None,
        readings_per_call=len(world.reading_times) / job.leads,
        most_readings=_most_within_a_second(world.reading_times),
        readings_refused=world.requests.refused[READING],
        lists_per_call=world.requests.answered[LIST] / job.leads,
        questions_per_call=world.requests.answered[QUESTION] / job.leads,
        mean_wait=statistics.fmean(world.waits),
    )


def _most_within_a_second(times: Sequence[float]) -> int:
    """How many lie in the fullest second; one that begins a second later is in the next.

    A millisecond is allowed for what is lost in adding seconds up.
    """
    most = first = 0
    for count, time in enumerate(times, start=1):
        while times[first] <= time - 0.999:
            first += 1
        most = max(most, count - first)
    return most


def table(rows: dict[str, Figures]) -> str:
    """The figures of one workspace, which the oracle's are among."""
    best = rows[ORACLE].calls_per_hour
    return markdown(
        HEADER,
        (
            (
                name,
                "" if figures.lost else f"{figures.calls_per_hour:,.0f}",
                "" if figures.lost else f"{figures.calls_per_hour / best:.3f}",
                f"{figures.lost:,}",
                f"{figures.refused:,}",
                f"{figures.too_fast:,}",
                figures.most_dials,
                figures.over_ceiling,
                f"{figures.seconds_over:,.0f}",
                "" if figures.surcharge is None else f"{figures.surcharge:,.2f}",
                f"{figures.readings_per_call:.2f}",
                figures.most_readings,
                f"{figures.readings_refused:,}",
                f"{figures.lists_per_call:.2f}",
                f"{figures.questions_per_call:.2f}",
                f"{figures.mean_wait / 60:.0f}",
            )
            for name, figures in rows.items()
        ),
    )


def _chosen(words: Iterable[str], without: Iterable[str]) -> list[str]:
    """The dialers that have one of the words in their name, and the oracle before them."""
    chosen = [name for name in EVERY_DIALER if any(word in name for word in words)]
    rest = (name for name in chosen if not any(word in name for word in [*without, ORACLE]))
    return [ORACLE, *rest]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.leads <= 20:
        parser.error("with 20 leads or fewer all can be dialled at once, and nothing is compared")
    if options.draw is not None:
        _draw(json.loads(options.draw.read_text()), options.svg)
        return
    rate = Rate(options.cps, options.cps_rule, options.cps_refusal, options.dial_jitter)
    content = _carry_out_all(
        options.leads,
        options.seed,
        _chosen(options.only, options.without),
        rate,
        _workspaces(options.workspace),
    )
    write_json(options.json, content)
    _draw(content, options.svg)


def _workspaces(words: Sequence[str] | None) -> list[str]:
    """The workspaces that have one of the words in their name; `WORKSPACES` if there are none."""
    if words is None:
        return list(WORKSPACES)
    return [name for name in EVERY_WORKSPACE if any(word in name for word in words)]


def _carry_out_all(
    leads: int, seed: int, dialers: Sequence[str], rate: Rate, names: Sequence[str]
) -> dict[str, Any]:
    """Print the table of each workspace; returns what goes into the JSON."""
    print(f"{leads:,} leads, seed {seed}, limit 20, {_shown(rate)}, virtual time")
    workspaces = []
    with _server(dialers) as ledger, ProcessPoolExecutor(os.cpu_count()) as pool:
        for workspace, burst in product(names, BURST):
            present = [name for name in dialers if not (burst and name in SHARED_DIALERS)]
            jobs = [Job(name, leads, seed, workspace, burst, ledger, rate) for name in present]
            rows = dict(zip(present, pool.map(carry_out, jobs), strict=True))
            print(f"\n{workspace}, {BURST[burst]}\n\n{table(rows)}", flush=True)
            workspaces.append(
                {
                    "workspace": workspace,
                    "burst": burst,
                    "dialers": {name: asdict(figures) for name, figures in rows.items()},
                }
            )
    return {"leads": leads, "seed": seed, "rate": asdict(rate), "workspaces": workspaces}


def _shown(rate: Rate) -> str:
    dials = f"dials that differ by {rate.jitter:g} s"
    if rate.cps is None:
        return f"no rate, {dials}"
    return f"{rate.cps:g} calls per second ({rate.rule}, refused by {rate.refusal}), {dials}"


@contextmanager
def _server(dialers: Sequence[str]) -> Iterator[str]:
    """The address of a server for ledger, if one of `dialers` needs it."""
    if not SHARED_DIALERS.keys() & set(dialers):
        yield ""
        return
    with RedisServer() as server:
        yield server.url


def _draw(content: dict[str, Any], path: Path | None) -> None:
    if path is not None:
        # Here, so that the tables can be had without a plotting library.
        from tests.benchmarks.picture import draw

        draw(content, path)


def rate_of(text: str) -> float | None:
    """A rate of the command line, in calls per second; None for none."""
    return None if text == "none" else float(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="WORD", help="dialers with this in their name"
    )
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="WORD", help="dialers with this are left out"
    )
    parser.add_argument(
        "--workspace",
        nargs="+",
        metavar="WORD",
        help="workspaces with this in their name, among them some that aren't shown else",
    )
    default = DEFAULT_RATE
    parser.add_argument(
        "--cps", type=rate_of, default=default.cps, help="calls that may start per second, or none"
    )
    parser.add_argument("--cps-rule", choices=CPS_RULES, default=default.rule)
    parser.add_argument("--cps-refusal", choices=CPS_REFUSALS, default=default.refusal)
    parser.add_argument(
        "--dial-jitter",
        type=float,
        default=default.jitter,
        help="seconds by which dials differ from 0.2 s",
    )
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/campaign.json"))
    parser.add_argument("--svg", type=Path, help="where to draw the figures")
    parser.add_argument("--draw", type=Path, metavar="JSON", help="only draw these figures")
    return parser


if __name__ == "__main__":
    main()
