"""``callguard drain``: stops all gates on a shared ledger, and waits until their calls count."""

from __future__ import annotations

import asyncio
import math
import shlex
from typing import Annotated, Final

import typer

from callguard.arguments import checked_seconds
from callguard.cli.contents import key_of_ledger
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import LedgerOption, NameOption, ReasonOption
from callguard.cli.pause import change, opened
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.errors import CallGuardError, LedgerUnavailable, UsageError
from callguard.ledger import RedisLedger

__all__ = ["drain", "left_after"]

_BETWEEN_LOOKS: Final = 0.25
"""Seconds between two looks. Our own choice: a look reads the whole ledger, and a dial takes about
as long."""

_BETWEEN_LINES: Final = 1.0
"""Seconds between two lines about the calls that are left, at least. Our own choice."""


def drain(
    *,
    ledger: LedgerOption = None,
    name: NameOption = None,
    reason: ReasonOption = "",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the calls.")
    ] = 300.0,
) -> None:
    """Pause all gates on a shared ledger, and wait until the provider counts all their calls.

    It ends when no call is being dialled, and every placed call is over or surely in the count.
    From then on the count shows these calls to everybody who dials without this ledger. Waiting
    callers stay in the queue; a worker that is to end drains its own gate, by `gate.drain()`. The
    pause holds until `callguard resume`, even if this command ends early.

    Exit code: 0, 75 calls are left after --timeout, 1 no gate has used such a ledger for an hour,
    69 the server can't be reached, 64 wrong use, 78 redis-py is not installed.
    """
    run(_drain(ledger, name, reason, timeout))


async def _drain(url: str | None, name: str | None, reason: str, timeout: float) -> ExitCode:
    try:
        _check(timeout)
        key = key_of_ledger(name)
        async with opened(url, name) as ledger:
            code = await change(ledger, key, (None, None), reason)
            if code is not ExitCode.OK:
                return code
            try:
                left = await left_after(ledger, key, timeout)
            except (asyncio.CancelledError, LedgerUnavailable):
                complain(_still_paused(name))
                raise
    except CallGuardError as error:
        return report(error, *verdict(error, "drain"), as_json=False)
    if left:
        shows = f"`callguard ps` shows which; {_still_paused(name)}"
        return report(UsageError(_are_left(left)), ExitCode.FULL, shows, as_json=False)
    say("drained: every call is over, or in the count")
    return ExitCode.OK


def _check(timeout: float) -> None:
    try:
        checked_seconds("--timeout", timeout, above_zero=True)
    except ValueError as error:
        raise UsageError(str(error)) from None


async def left_after(ledger: RedisLedger, key: str, timeout: float) -> int:
    """Wait until the count misses no call, and say on stderr how many it still may miss.

    Args:
        ledger: the ledger; it stays open.
        key: the API key that names the ledger; empty if it has a name of its own.
        timeout: seconds to wait at most.

    Returns:
        How many calls it may miss at the end.

    Raises:
        LedgerUnavailable: the server can't be reached.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + timeout
    said, said_at = 0, -math.inf
    while (left := (await ledger.look(key)).unsettled) and clock() < until:
        if left != said and clock() - said_at >= _BETWEEN_LINES:
            complain(f"waiting: {_are_left(left)}")
            said, said_at = left, clock()
        await asyncio.sleep(_BETWEEN_LOOKS)
    return left


def _are_left(calls: int) -> str:
    are = "call is" if calls == 1 else "calls are"
    return f"{calls} {are} being dialled, or may not be in the count yet"


def _still_paused(name: str | None) -> str:
    of = "" if name is None else f" --name {shlex.quote(name)}"
    return f"everything is still paused, until `callguard resume{of}`"
