"""``callguard ps``: who holds places in shared books, and who waits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.table import Column, Table
from rich.text import Text

from callguard.cli.books import LedgerOption, NameOption, look
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.running import run
from callguard.cli.screen import Screen
from callguard.errors import CallGuardError, UsageError
from callguard.fetcher.settings import checked_api_key

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Books

__all__ = ["books_table", "ps", "sentence"]

_WIDE: Final = 1000
"""Characters of a line where no terminal sets a limit."""


def ps(
    *,
    ledger: LedgerOption = None,
    name: NameOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, on errors too.")
    ] = False,
) -> None:
    """Show who holds places in shared books, and who waits.

    A line for each permit that is dispatching, or placed and perhaps not in the provider's count
    yet; for the callers in line on each lane of each gate; and for each worker with neither. The
    books are told by RETELL_API_KEY, or by --name. Looking changes nothing.

    A worker is (silent) whose lease has run out, and (gone) if it has left or that was noticed:
    what it was dialling counts until a reading is surely later.

    Exit code: 0, 69 the server can't be reached, 64 wrong use, 78 redis-py is not installed. An
    error is one line on stderr; with --json it is an object on stdout as well.
    """
    run(_ps(ledger, name, as_json))


async def _ps(ledger: str | None, name: str | None, as_json: bool) -> ExitCode:
    try:
        books = await _look(ledger, name)
    except CallGuardError as error:
        return report(error, *verdict(error, "ps"), as_json=as_json)
    if as_json:
        print(json.dumps(books.as_json()))
    else:
        _show(books)
    return ExitCode.OK


async def _look(url: str | None, name: str | None) -> Books:
    if not url:
        raise UsageError("no ledger: pass --ledger redis://…, or set CALLGUARD_LEDGER")
    return await look(url, name, "" if name is not None else checked_api_key(None))


def _show(books: Books) -> None:
    on_terminal = sys.stdout.isatty()
    console = Screen(width=None if on_terminal else _WIDE)
    if books.workers or books.held:
        console.print(books_table(books, box.HEAVY_HEAD if on_terminal else None))
    console.say(sentence(books))


def books_table(books: Books, around: box.Box | None = None) -> Table:
    """A line for each permit, each line of callers and each idle worker; drawn with `around`."""
    table = Table(
        "worker",
        "lane",
        "state",
        Column("calls", justify="right"),
        Column("age", justify="right"),
        box=around,
    )
    silent = {worker.label for worker in books.workers if worker.lease < 0}
    for worker, *cells in _rows(books):
        label = f"{worker} (silent)" if worker in silent else worker or "(gone)"
        table.add_row(*map(Text, (label, *cells)))
    return table


def sentence(books: Books) -> str:
    """The sums, and what they are made of."""
    if not books.known:
        return "No gate has used these books for an hour, if ever."
    usage, waiting = books.usage, sum(line.callers for line in books.waiting)
    own = f"{usage.dispatching} dispatching, {usage.unseen} placed and perhaps not counted"
    in_line = f"{waiting} in line; gates: {len(books.workers)}"
    if books.reading is None:
        return f"no reading yet, {own}; {in_line}"
    counted = f"{usage.reported} counted {books.now - books.reading.began:.1f} s ago"
    spent = "; nothing is admitted before a later reading" if books.spent else ""
    return f"usage {usage.total}: {counted}, {own}; {in_line}{spent}"


def _rows(books: Books) -> Iterator[tuple[str | None, str, str, str, str]]:
    for held in books.held:
        yield held.worker, held.lane, held.state, "1", f"{held.age:.1f} s"
    for line in books.waiting:
        yield line.worker, line.lane, "waiting", str(line.callers), f"{line.waited:.1f} s"
    busy = {held.worker for held in books.held} | {line.worker for line in books.waiting}
    for label in dict.fromkeys(worker.label for worker in books.workers):
        if label not in busy:
            yield label, "", "idle", "0", ""
