"""``callguard top``: what goes on in a workspace, live in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.live import Live

from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import LedgerOption, NameOption, PlainHttpOption
from callguard.cli.running import run
from callguard.cli.screen import Screen
from callguard.cli.top_feeds import Feed, ServerAway, feed_of
from callguard.cli.top_picture import Picture
from callguard.cli.top_terminal import keys_to, resizes_to
from callguard.clock import clock_of
from callguard.errors import CallGuardError
from callguard.serve.views import Overview

__all__ = ["top"]

_BETWEEN_LOOKS: Final = 1.0
"""Seconds between two looks. Our own choice; a shared ledger is read as a whole."""

_KEYS: Final = "p pause everything   r resume   q quit"

_PLAIN_WIDTH: Final = 120
"""Characters of a line where neither a terminal nor COLUMNS says."""


def top(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The address of `callguard serve`; else http://127.0.0.1:8790."
        ),
    ] = None,
    ledger: LedgerOption = None,
    name: NameOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, and exit; on errors too.")
    ] = False,
    allow_plain_http: PlainHttpOption = False,
) -> None:
    """Show live what goes on in a workspace: lanes, calls, waits, costs and events.

    It looks at `callguard serve`, once a second, or with --ledger at a shared ledger, which knows
    less: no waits, no costs and no events. The server's token is read from CALLGUARD_TOKEN. While
    nobody answers, the last picture stays, with its age.

    Keys: p pauses everything, r resumes it, q quits. Without a terminal, the picture is printed
    once, 120 columns wide or as wide as COLUMNS says.

    Exit code: 0, 69 nobody answers, or wants another token (without a terminal, or with --json), 64
    wrong use, 78 redis-py is not installed.
    """
    run(_top(feed_of(url, ledger, name, allow_plain_http=allow_plain_http), as_json))


async def _top(opening: AbstractAsyncContextManager[Feed], as_json: bool) -> ExitCode:
    console = Screen()
    try:
        async with opening as feed:
            # FORCE_COLOR makes a log a terminal to rich, which it isn't for a picture.
            if as_json or not (console.is_interactive and sys.stdout.isatty()):
                _show(await feed.look(), feed.name, as_json)
            else:
                await _Watch(feed, console).run()
    except ServerAway as error:
        return report(error, ExitCode.UNREACHABLE, error.advice, as_json=as_json)
    except CallGuardError as error:
        return report(error, *verdict(error, "top"), as_json=as_json)
    return ExitCode.OK


def _show(seen: Overview, source: str, as_json: bool) -> None:
    """Print an overview once."""
    if as_json:
        print(json.dumps(seen.as_json()))
        return
    page = Screen(width=_plain_width(), color_system=None)
    with page.capture() as drawn:
        page.print(Picture(seen, 0.0, None, source, whole=True))
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def _plain_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) else _PLAIN_WIDTH


class _Watch:
    """Looks again and again, and draws what it sees until somebody presses q.

    Args:
        feed: where to look.
        console: the terminal.
    """

    def __init__(self, feed: Feed, console: Console) -> None:
        self._feed = feed
        self._console = console
        self._time = clock_of(asyncio.get_running_loop())
        self._seen: Overview | None = None
        self._seen_at = 0.0
        self._trouble: str | None = "waiting for an answer"
        self._answer = ""
        self._changed = asyncio.Event()
        self._quits = False
        self._orders: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Draw until q; the terminal is as before, however this ends."""
        looking = asyncio.create_task(self._look_on())
        live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with live, keys_to(self._press), resizes_to(self._changed.set):
                while not (self._quits or looking.done()):
                    live.update(self._picture(), refresh=True)
                    await self._changed.wait()
                    self._changed.clear()
        finally:
            for task in (looking, *self._orders):
                task.cancel()
            await asyncio.wait([looking, *self._orders])
        if not looking.cancelled():
            looking.result()

    def _picture(self) -> Picture:
        age = self._time() - self._seen_at
        return Picture(self._seen, age, self._trouble, self._feed.name, _KEYS, self._answer)

    async def _look_on(self) -> None:
        """Look once a second; a look that fails is as good as another time."""
        while True:
            due = self._time() + _BETWEEN_LOOKS
            try:
                self._seen = await self._feed.look()
                self._seen_at = self._time()
                self._trouble = None
            except ServerAway as error:
                self._trouble = str(error) if self._seen else f"{error}; {error.advice}"
            except CallGuardError as error:
                self._trouble = str(error)
            self._changed.set()
            await asyncio.sleep(due - self._time())

    def _press(self, key: str) -> None:
        if key in {"q", "Q"}:
            self._quits = True
        elif key in {"p", "P"}:
            self._order(self._pause)
        elif key in {"r", "R"}:
            self._order(self._resume)
        self._changed.set()

    def _order(self, order: Callable[[], Coroutine[Any, Any, str]]) -> None:
        """Carry an order out, and say under the picture what came of it."""

        async def carry_out() -> None:
            try:
                said = await order()
            except CallGuardError as error:
                said = str(error)
            self._answer = said
            self._changed.set()

        task = asyncio.create_task(carry_out())
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _pause(self) -> str:
        await self._feed.pause()
        return "everything paused"

    async def _resume(self) -> str:
        return "everything resumed" if await self._feed.resume() else "it was not paused as a whole"
