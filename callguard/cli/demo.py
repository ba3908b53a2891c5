"""``callguard demo``: shows a campaign on a terminal, in a log or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.running import run
from callguard.cli.saying import complain
from callguard.cli.screen import Screen
from callguard.demo import campaign
from callguard.demo.campaign import Plan
from callguard.demo.picture import Picture
from callguard.demo.plain import PlainLines
from callguard.demo.progress import Outcome, Progress
from callguard.demo.summary import summary
from callguard.demo.summary import verdict as kept_or_not
from callguard.errors import CallGuardError
from callguard.ledger import RedisLedger
from callguard.testing import RedisServer, RedisServerFailed, find_server

__all__ = ["demo"]


def demo(
    *,
    without: Annotated[
        bool,
        typer.Option(
            "--without",
            help="Dial the same leads as most people do today: read the counter, start as many "
            "calls as fit, sleep, repeat.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, at the end.")] = False,
    seed: Annotated[
        int, typer.Option(help="The seed of talk times, calls by others and faults.")
    ] = 1,
    workers: Annotated[
        int,
        typer.Option(min=1, max=64, help="Processes that dial, all through gates on one ledger."),
    ] = 1,
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The server of the workers' ledger, such as redis://localhost:6379; by default, "
            "one is started for the demo.",
        ),
    ] = None,
    leads: Annotated[int, typer.Option(min=1, max=10_000, hidden=True)] = 150,
) -> None:
    """Dial 150 leads against a simulated workspace, in less than half a minute.

    The workspace has a limit of 20 calls, calls by others, and a counter that is late and fails
    one time in ten. One lead in five is urgent, and may burst by 5 calls above the limit.

    Exit code: 0 if nothing was refused, the peak stayed within the ceiling and every lead was
    dialled once; else 1. With workers, 69 if the ledger's server can't be reached or started, 78
    if redis-py or a server's program is not installed.
    """
    if without and (workers > 1 or ledger):
        raise typer.BadParameter("without a gate one process dials: no --workers and no --ledger")
    run(_demo(leads, seed, not without, workers, ledger, as_json))


async def _demo(
    leads: int, seed: int, gated: bool, workers: int, ledger: str | None, as_json: bool
) -> ExitCode:
    try:
        if workers > 1 or ledger:
            await _require(ledger)
        with _served(workers, ledger) as url:
            plan = Plan(leads, seed, gated, workers, url)
            if url != ledger and not as_json:  # a given address may contain a password
                print(f"Look on: RETELL_API_KEY={plan.api_key} callguard ps --ledger {url}")
            return await _dialled(plan, as_json)
    except CallGuardError as error:
        return report(error, *verdict(error, "demo"), as_json=as_json)
    except RedisServerFailed as error:
        code = ExitCode.UNREACHABLE if find_server() else ExitCode.NOT_INSTALLED
        advice = "install redis-server or valkey-server, or pass --ledger redis://…"
        return report(error, code, advice, as_json=as_json)


async def _require(ledger: str | None) -> None:
    """Check that redis-py is installed and that the ledger, if one is given, answers.

    This comes first, so that nothing is shown of a demo that can't run.
    """
    async with RedisLedger.from_url(ledger or "redis://localhost") as shared:
        if ledger:
            await shared.look("")


@contextmanager
def _served(workers: int, ledger: str | None) -> Iterator[str | None]:
    """Yield the ledger's address; start a server if the demo needs one and none is given."""
    if workers == 1 or ledger:
        yield ledger
        return
    with RedisServer() as server:
        yield server.url


async def _dialled(plan: Plan, as_json: bool) -> ExitCode:
    console = Screen()
    with _view(plan, console, as_json) as show:
        outcome = await campaign.run(plan, show, complain)
    if as_json:
        print(json.dumps(outcome.as_json()))
    else:
        _conclude(plan, outcome, console)
    return ExitCode.OK if outcome.kept else ExitCode.FAILED


@contextmanager
def _view(plan: Plan, console: Console, as_json: bool) -> Iterator[Callable[[Progress], None]]:
    if as_json:
        yield lambda _: None
    # With FORCE_COLOR rich takes even a log for a terminal, where a picture doesn't work.
    elif console.is_interactive and sys.stdout.isatty():
        with Picture(console, _title(plan)) as picture:
            yield picture
    else:
        print(_title(plan), flush=True)
        yield PlainLines()


def _title(plan: Plan) -> str:
    how = "through the gate" if plan.gated else "without the gate"
    if plan.workers > 1:
        how = f"through the gates of {plan.workers} processes"
    return f"callguard demo: {plan.leads} leads {how}, seed {plan.seed}"


def _conclude(plan: Plan, outcome: Outcome, console: Console) -> None:
    console.print(summary(outcome))
    console.print(kept_or_not(outcome))
    other = "callguard demo --without" if plan.gated else "callguard demo"
    console.print(f"The same leads {'without' if plan.gated else 'with'} the gate: {other}")
