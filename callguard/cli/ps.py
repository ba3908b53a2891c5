"""``callguard ps``: who holds slots in a shared ledger, and who waits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from callguard.cli.contents import Found, advice_on_absence, key_of_ledger, look
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import LedgerOption, NameOption
from callguard.cli.running import run
from callguard.cli.saying import say
from callguard.cli.screen import Screen
from callguard.errors import CallGuardError, UsageError
from callguard.metrics import exposition

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents
    from callguard.limits import Limits

__all__ = ["contents_table", "ps", "sentence"]

_BOXED: Final = 60
"""Characters of a line that leave room for a frame around the table, at least."""

_WIDE: Final = 1000
"""Characters of a line if no terminal sets a limit."""


def ps(
    *,
    ledger: LedgerOption = None,
    name: NameOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, on errors too.")
    ] = False,
    as_metrics: Annotated[
        bool, typer.Option("--metrics", help="Metrics in Prometheus' text format on stdout.")
    ] = False,
) -> None:
    """Show who holds slots of a shared ledger, and who waits.

    Each worker has a row for each permit that is dialling or uncounted (its call was placed, but
    may not be in the provider's count yet), a row for the queued callers of each lane and gate,
    and a single row if it has neither. Each limited trunk has a line, which says when it may start
    its next call, and how many calls are on it. What is paused, by whom, since when and why, is on
    stderr; who waits there is known to the gates alone, and is in no figure. The ledger is that of
    RETELL_API_KEY, or the one called --name. Looking changes nothing.

    A worker is (silent) if it has let half of its lease pass without a message, and (gone) if it
    has left or its lease has expired; the calls that it was dialling count until a snapshot is
    surely later.

    Our calls are distinguished from others' if all gates have `reserved_inbound="outbound"` or
    `ends_free_at_once=True`; else it is unknown whose the counted calls are. Warns if a refusal has
    given such a setting up, and suggests what gates have learnt.

    Warns of another ledger on the server with the same limits and count: two API keys of one
    workspace make two ledgers, which share no limit, unless both are given one name.

    With --metrics, the workspace's gauges, with the names that docs/metrics.md lists: a cron job
    may write them to a file for Prometheus' node exporter. That needs prometheus_client.

    Exit code: 0, 1 no gate has used such a ledger for an hour, 69 the server can't be reached, 64
    wrong use, 78 a package is not installed. An error is one line on stderr; with --json it is an
    object on stdout as well.
    """
    run(_ps(ledger, name, as_json=as_json, as_metrics=as_metrics))


async def _ps(ledger: str | None, name: str | None, *, as_json: bool, as_metrics: bool) -> ExitCode:
    try:
        if as_json and as_metrics:
            raise UsageError("--json and --metrics exclude each other: pass one of them")
        found = await _look(ledger, name)
        metrics = exposition(found.contents, found.id) if as_metrics else ""
    except CallGuardError as error:
        return report(error, *verdict(error, "ps"), as_json=as_json)
    if not found.contents.known:
        advice = advice_on_absence(named=name is not None)
        return report(UsageError(found.absence), ExitCode.FAILED, advice, as_json=as_json)
    found.warn()
    if as_metrics:
        print(metrics, end="")
    elif as_json:
        print(json.dumps({**found.contents.as_json(), "lookalikes": found.lookalikes}))
    else:
        _show(found.contents)
    return ExitCode.OK


async def _look(url: str | None, name: str | None) -> Found:
    if not url:
        raise UsageError("no ledger: pass --ledger redis://…, or set CALLGUARD_LEDGER")
    return await look(url, name, key_of_ledger(name))


def _show(contents: Contents) -> None:
    on_terminal = sys.stdout.isatty()
    console = Screen(width=None if on_terminal else _WIDE)
    if contents.workers or contents.permits:
        has_room = on_terminal and console.width >= _BOXED
        console.print(contents_table(contents, box.HEAVY_HEAD if has_room else None))
    for trunk in contents.trunks:
        say(str(trunk))
    say(sentence(contents))


def contents_table(contents: Contents, around: box.Box | None = None) -> Table:
    """A table with a row for each permit, each queue of callers and each idle worker.

    Args:
        contents: the ledger's contents.
        around: the lines to draw around the table.
    """
    table = Table(
        Column("worker", overflow="fold"),
        Column("lane", overflow="fold"),
        Column("state", no_wrap=True),
        Column("calls", justify="right", no_wrap=True),
        Column("age", justify="right", no_wrap=True),
        box=around,
    )
    silent = {worker.label for worker in contents.workers if worker.silent}
    for worker, *cells in _rows(contents):
        label = f"{worker} (silent)" if worker in silent else worker or "(gone)"
        table.add_row(*map(Text, (label, *cells)))
    return table


def sentence(contents: Contents) -> str:
    """A sentence with the ledger's totals and their parts."""
    usage, waiting = contents.usage, sum(queue.callers for queue in contents.waiting)
    own = f"{usage.dialling} dialling, {usage.uncounted} uncounted"
    silent = sum(worker.silent for worker in contents.workers)
    where = " where nothing is paused" if contents.pauses else ""
    queued = f"{waiting} queued{where}; gates: {len(contents.workers)}"
    queued += f", {silent} of them silent" if silent else ""
    if contents.snapshot is None:
        return f"no snapshot yet, {own}; {queued}"
    counted = f"{usage.reported} counted {contents.now - contents.snapshot.began:.1f} s ago"
    spent = "; nothing is admitted before a later snapshot" if contents.spent else ""
    of = f"{usage.total} of {_limit(contents.snapshot.limits)}"
    return f"usage {of}: {usage.whose}; {counted}{usage.left_out}, {own}; {queued}{spent}"


def _limit(limits: Limits) -> str:
    burst = limits.concurrency_burst_limit
    bursts = limits.concurrency_burst_enabled and (burst or 0) > limits.concurrency_limit
    return (
        f"{limits.concurrency_limit} (with burst {burst})"
        if bursts
        else str(limits.concurrency_limit)
    )


def _rows(contents: Contents) -> Iterator[tuple[str | None, str, str, str, str]]:
    """The rows by worker, gone workers first, and each worker's oldest permits first."""
    labels = {permit.worker for permit in contents.permits}
    labels |= {queue.worker for queue in contents.waiting}
    for label in sorted(labels | {worker.label for worker in contents.workers}, key=_by_number):
        for state in ("dialling", "uncounted"):
            for permit in contents.permits:
                if (permit.worker, permit.state) == (label, state):
                    yield label, permit.lane, state, "1", f"{permit.age:.1f} s"
        for queue in contents.waiting:
            if queue.worker == label:
                yield label, queue.lane, "waiting", str(queue.callers), f"{queue.waited:.1f} s"
        if label not in labels:
            yield label, "", "idle or paused" if contents.pauses else "idle", "0", ""


def _by_number(label: str | None) -> tuple[str, int, str]:
    """A sort key that puts web:9 before web:10, and gone workers first."""
    host, _, number = (label or "").rpartition(":")
    return host, int(number) if number.isdecimal() else 0, number
