"""``callguard demo``: campaigns to look at, on a terminal, in a log or as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console

from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.cli.screen import Screen
from callguard.demo import campaign
from callguard.demo.campaign import GATE, LOOP, Plan, title
from callguard.demo.gated import BETWEEN_READINGS
from callguard.demo.picture import Picture
from callguard.demo.plain import PlainLines
from callguard.demo.progress import Progress
from callguard.demo.summary import summary
from callguard.demo.summary import verdict as kept_or_not
from callguard.demo.times import SPEED
from callguard.errors import CallGuardError
from callguard.ledger import RedisLedger
from callguard.testing import RedisServer, RedisServerFailed, find_server, virtual_time

__all__ = ["demo"]

_Show = Callable[[str, Progress], None]

_ELSE: Final = {
    "gate": "Many processes on one limit: callguard demo --workers 4",
    "workers": "The same leads as most people dial them, beside it: callguard demo",
    "loop": "The same leads through callguard, too: callguard demo",
}
"""What else there is to see, by what was seen."""

_IN_REAL_TIME: Final = (
    f"The processes dial in real time, {SPEED:g} times as fast, so {BETWEEN_READINGS * SPEED:g} s "
    "of the campaign pass between two readings: see that one limit holds, not how full it gets."
)


def demo(
    *,
    without: Annotated[
        bool,
        typer.Option(
            "--without",
            help="Dial only as most people do today: read the counter, dial as many leads as seem "
            "to fit, sleep, repeat.",
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
    """Dial 150 leads as most people do and through callguard, in a simulated workspace.

    The workspace has a limit of 20 calls, burst, one call per second, calls by others, and a
    counter that is late and fails one time in ten. One lead in five is urgent. Ten minutes are
    shown 40 times as fast. With workers the processes dial in real time, 40 times as fast, so 6 s
    of the campaign pass between two readings: see that one limit holds, not how full it gets.

    Exit code: 0 if through callguard nothing was refused, the peak stayed within the limit and
    every lead was dialled once; else 1. With workers, 69 if the ledger's server can't be reached or
    started, 78 if redis-py or a server's program is not installed.
    """
    if without and (workers > 1 or ledger):
        raise typer.BadParameter("without a gate one process dials: no --workers and no --ledger")
    if workers > 1 or ledger:
        run(_by_workers(leads, seed, workers, ledger, as_json))
    plans = {LOOP: Plan(leads, seed, gated=False)}
    if not without:
        plans[GATE] = Plan(leads, seed, gated=True)
    run(_dialled(plans, as_json), on=virtual_time.run)


async def _by_workers(
    leads: int, seed: int, workers: int, ledger: str | None, as_json: bool
) -> ExitCode:
    try:
        await _require(ledger)
        with _served(ledger) as url:
            plan = Plan(leads, seed, gated=True, workers=workers, ledger=url)
            if not as_json:
                say(_IN_REAL_TIME)
            if url != ledger and not as_json:  # a given address may contain a password
                print(f"Look on: RETELL_API_KEY={plan.api_key} callguard ps --ledger {url}")
            return await _dialled({f"{GATE}, {workers} processes": plan}, as_json)
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
def _served(ledger: str | None) -> Iterator[str]:
    """Yield the ledger's address; start a server if none is given."""
    if ledger:
        yield ledger
        return
    with RedisServer() as server:
        yield server.url


async def _dialled(plans: Mapping[str, Plan], as_json: bool) -> ExitCode:
    """Carry the campaigns out side by side, and say what came of each."""
    console = Screen()
    with _view(plans, console, as_json) as show:
        outcomes = await asyncio.gather(
            *(campaign.run(plan, partial(show, name), complain) for name, plan in plans.items())
        )
    first, last = outcomes[0], outcomes[-1]
    if as_json:
        without = {} if first is last else {"without": first.as_json()}
        print(json.dumps(last.as_json() | without))
    else:
        console.print(summary(dict(zip(plans, outcomes, strict=True))))
        console.print(kept_or_not(last))
        print(_ELSE["workers" if last.workers > 1 else last.dialer])
    return ExitCode.OK if last.kept else ExitCode.FAILED


@contextmanager
def _view(plans: Mapping[str, Plan], console: Console, as_json: bool) -> Iterator[_Show]:
    plan = next(iter(plans.values()))
    if as_json:
        yield lambda _name, _progress: None
    # FORCE_COLOR makes a log a terminal to rich, which it isn't for a picture.
    elif console.is_interactive and sys.stdout.isatty():
        with Picture(console, title(plan)) as picture:
            yield picture if plan.ledger else _paced(picture)
    else:
        print(title(plan), flush=True)
        yield PlainLines()


def _paced(show: _Show) -> _Show:
    """Show each look when it is time; the clock on which they dial stands still until then."""
    began = time.monotonic()

    def show_in_time(name: str, progress: Progress) -> None:
        due = began + progress.truth.elapsed / SPEED
        time.sleep(max(0.0, due - time.monotonic()))
        show(name, progress)

    return show_in_time
