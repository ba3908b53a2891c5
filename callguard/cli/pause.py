"""``callguard pause`` and ``callguard resume``: for all gates on a shared ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from callguard.arguments import is_sendable
from callguard.cli.contents import absence, advice_on_absence, key_of_ledger
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import LedgerOption, NameOption, ReasonOption
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.cli.scopes import in_words, still_paused, unknown_names
from callguard.errors import CallGuardError, LedgerUnavailable, UsageError
from callguard.ledger import RedisLedger
from callguard.ledger.process import this_process

__all__ = ["change", "opened", "pause", "resume"]

LaneOption = Annotated[str | None, typer.Option(help="The lane's name; each lane if left out.")]
TrunkOption = Annotated[str | None, typer.Option(help="The trunk's name; each trunk if left out.")]


def pause(
    *,
    ledger: LedgerOption = None,
    name: NameOption = None,
    lane: LaneOption = None,
    trunk: TrunkOption = None,
    reason: ReasonOption = "",
) -> None:
    """Stop all gates on a shared ledger from admitting calls, at all or on a lane or a trunk.

    Waiting callers stay in the queue, and admitted calls go on. The pause holds until it is
    resumed, even if gates come and go. The ledger is that of RETELL_API_KEY, or the one called
    --name. It knows a lane only while somebody dials or waits there, and a trunk that has a limit:
    if it knows others alone there is a warning, and the pause is made all the same.

    Exit code: 0, 1 no gate has used such a ledger for an hour, and nothing is paused there, 69 the
    server can't be reached, 64 wrong use, 78 redis-py is not installed.
    """
    run(_change("pause", ledger, name, (lane, trunk), reason))


def resume(
    *,
    ledger: LedgerOption = None,
    name: NameOption = None,
    lane: LaneOption = None,
    trunk: TrunkOption = None,
) -> None:
    """Lift the pause of a lane and a trunk, or of everything, at all gates on a shared ledger.

    It lifts the pause that was made with the same --lane and --trunk. Other pauses stay in force,
    and are named on stderr.

    Exit code: 0, 1 it was not paused, or no gate has used such a ledger for an hour, 69 the server
    can't be reached, 64 wrong use, 78 redis-py is not installed.
    """
    run(_change("resume", ledger, name, (lane, trunk), None))


def opened(url: str | None, name: str | None) -> RedisLedger:
    """The ledger that the options say, to be entered; nothing was sent yet.

    Raises:
        MissingExtra: redis-py is not installed.
        UsageError: there is no address, or the address or the name can't be used.
    """
    if not url:
        raise UsageError("no ledger: pass --ledger redis://…, or set CALLGUARD_LEDGER")
    _check("--name", name)
    return RedisLedger.from_url(url, name=name)


async def change(
    ledger: RedisLedger, key: str, scope: tuple[str | None, str | None], reason: str | None
) -> ExitCode:
    """Pause a lane and a trunk, or resume them where there is no `reason`, and say so.

    Raises:
        LedgerUnavailable: the server can't be reached.
        UsageError: the lane, the trunk or the reason can't be sent.
    """
    _check("--lane", scope[0])
    _check("--trunk", scope[1])
    if reason is None:
        return await _resumed(ledger, key, scope)
    _check("--reason", reason or None)
    warnings = [] if scope == (None, None) else await _unknown(ledger, key, scope)
    if await ledger.pause(key, *scope, by=this_process(), reason=reason) is None:
        return _absent(ledger, key)
    say(f"{in_words(*scope)} paused")
    for warning in warnings:
        complain(f"warning: {warning}")
    return ExitCode.OK


async def _unknown(
    ledger: RedisLedger, key: str, scope: tuple[str | None, str | None]
) -> list[str]:
    """What to warn of; this looks before the pause, which takes its callers off the ledger."""
    try:
        return [*unknown_names(await ledger.look(key), *scope)]
    except LedgerUnavailable:  # the pause may get through, and matters more
        return []


async def _resumed(ledger: RedisLedger, key: str, scope: tuple[str | None, str | None]) -> ExitCode:
    done = await ledger.resume(key, *scope)
    if done is None:
        return _absent(ledger, key)
    if done:
        say(f"{in_words(*scope)} resumed")
    try:
        still = still_paused(await ledger.look(key))
    except LedgerUnavailable:
        still = "`callguard ps` shows what is paused"
    if not done:
        what = UsageError(f"{in_words(*scope)} was not paused")
        return report(what, ExitCode.FAILED, still or "nothing is", as_json=False)
    if still is not None:
        complain(still)
    return ExitCode.OK


def _absent(ledger: RedisLedger, key: str) -> ExitCode:
    what = UsageError(absence(ledger.workspace_hash(key)))
    return report(what, ExitCode.FAILED, advice_on_absence(named=not key), as_json=False)


async def _change(
    command: str,
    url: str | None,
    name: str | None,
    scope: tuple[str | None, str | None],
    reason: str | None,
) -> ExitCode:
    try:
        async with opened(url, name) as ledger:
            return await change(ledger, key_of_ledger(name), scope, reason)
    except CallGuardError as error:
        return report(error, *verdict(error, command), as_json=False)


def _check(option: str, word: str | None) -> None:
    if word is not None and not is_sendable(word):
        raise UsageError(f"{option} must be text that can be sent, and not empty")
