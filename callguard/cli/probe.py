"""``callguard probe``: learns from one call what the provider doesn't document."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from rich.table import Table

from callguard.cli.exits import ExitCode
from callguard.cli.failures import KEY_STATUSES, report, verdict
from callguard.cli.options import BaseUrlOption, PlainHttpOption
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.cli.screen import Screen
from callguard.errors import (
    CallGuardError,
    UsageError,
)
from callguard.fetcher import ProviderClient
from callguard.probe import Findings, Lag, MaybePlaced, NotPlaced, PhoneCall, Plan
from callguard.probe import probe as experiment
from callguard.showing import shown

__all__ = ["probe"]

_NUMBER: Final = re.compile(r"\+[0-9]{8,15}")
"""Loosely E.164, which has 15 digits at most; the provider checks it exactly."""

_TIMEOUT: Final = 30.0
"""Seconds for one request.

If a dial times out, its call can't be stopped, so it gets much time. retell-sdk 6.2.13 allows
120 s, but that is too long to wait after Ctrl-C.
"""

_DEFAULTS: Final = Plan()


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of the command.

    Attributes:
        call: the call to place.
        plan: how long and how often to watch.
        client: the client that asks the provider; `_probe` closes it.
        as_json: whether stdout is for a program.
    """

    call: PhoneCall
    plan: Plan
    client: ProviderClient
    as_json: bool

    @property
    def progress(self) -> Callable[[str], None]:
        """The function that shows a line of progress, on stderr if stdout is for a program."""
        stream = sys.stderr if self.as_json else sys.stdout
        return lambda line: say(line, stream)


def probe(
    *,
    from_number: Annotated[
        str,
        typer.Option("--from", metavar="NUMBER", help="A number of the workspace: +14155550100."),
    ],
    to_number: Annotated[
        str,
        typer.Option("--to", metavar="NUMBER", help="The number to call: a phone of your own."),
    ],
    agent: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The agent to call with; else the number's own."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Place the call without asking.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object on stdout, on errors too; progress goes to stderr."
        ),
    ] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", help="The time between readings of the counter.")
    ] = _DEFAULTS.interval,
    longest: Annotated[
        float, typer.Option(metavar="SECONDS", help="The time after which the call is stopped.")
    ] = _DEFAULTS.longest,
    longest_lag: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How late the counter is assumed to be at most."),
    ] = _DEFAULTS.longest_lag,
    base_url: BaseUrlOption = None,
    allow_plain_http: PlainHttpOption = False,
) -> None:
    """Place one call, and learn from it what to pass to open_gate.

    Finds out whether the workspace's counter includes ringing calls, and how late it rises and
    falls. The call is real, and costs what a call costs. Let it ring for more than --longest-lag
    (5 s), answer it, and talk for as long; a call that is not answered shows less. Probe while
    nobody else is calling: if calls by others move the counter, the result is "not clear" instead
    of a guess.

    The key is read from RETELL_API_KEY only: on the command line it would stay in the shell's
    history. Nothing is ever dialled twice. Ctrl-C stops the call.

    Exit code: 0 clear, 75 not clear (try again later), 1 no call was placed (the provider refused
    it, or the question was answered with no), 77 the key was refused, 69 the provider can't be
    reached, 65 its answer is malformed, 64 wrong use, 130 Ctrl-C. After 69 and 65 the call may
    have been placed if the error says so. An error is one line on stderr; with --json it is an
    object on stdout as well.
    """
    try:
        call = PhoneCall(_number("--from", from_number), _number("--to", to_number), agent)
        plan = _plan(interval, longest, longest_lag)
        options = _Options(call, plan, _client(base_url, allow_plain_http), as_json)
        agreed = yes or _asked(options)
    except UsageError as error:
        raise typer.Exit(_failed(error, as_json)) from None
    if not agreed:
        complain("no call was placed")
        raise typer.Exit(ExitCode.FAILED)
    run(_probe(options))


def _number(option: str, number: str) -> str:
    if _NUMBER.fullmatch(number):
        return number
    raise UsageError(f"{option} must be a number such as +14155550100, got {shown(number)}")


def _plan(interval: float, longest: float, longest_lag: float) -> Plan:
    try:
        return Plan(interval=interval, longest=longest, longest_lag=longest_lag)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _client(base_url: str | None, allow_plain_http: bool) -> ProviderClient:
    return ProviderClient(base_url=base_url, timeout=_TIMEOUT, allow_plain_http=allow_plain_http)


def _asked(options: _Options) -> bool:
    """Ask the person at the terminal whether to place the call.

    Raises:
        UsageError: there is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise UsageError("no terminal to ask at: pass --yes to place the call")
    for sentence in _announcement(options):
        complain(sentence)
    try:
        return typer.confirm("Place the call?", err=True)
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _announcement(options: _Options) -> tuple[str, str]:
    call, plan = options.call, options.plan
    numbers = f"from {call.from_number} to {call.to_number}"
    answer = f"Let it ring for more than {plan.longest_lag:g} s, answer it, and talk for as long"
    return (
        f"One real call {numbers}, by {options.client.url('')}, at the price of a call.",
        f"{answer}. It is stopped after {plan.longest:g} s.",
    )


async def _probe(options: _Options) -> ExitCode:
    try:
        findings = await experiment(options.client, options.call, options.plan, options.progress)
    except (CallGuardError, NotPlaced, MaybePlaced) as error:
        return _failed(error, options.as_json)
    finally:
        await options.client.aclose()
    code = ExitCode.OK if findings.is_clear else ExitCode.FULL
    if options.as_json:
        print(json.dumps(_as_json(findings) | {"exit": code}))
    else:
        _show(findings)
    return code


def _as_json(findings: Findings) -> dict[str, object]:
    return {
        "clear": findings.is_clear,
        "counts_ringing": findings.counts_ringing,
        "snapshots": findings.snapshots,
        "counter_lag": findings.counter_lag,
        "rise_lag": _lag_as_json(findings.rise_lag),
        "fall_lag": _lag_as_json(findings.fall_lag),
        "falls_at_once": findings.falls_at_once,
        "settings": findings.settings,
        "reason": findings.reason,
        "remark": findings.remark,
    }


def _lag_as_json(lag: Lag | None) -> dict[str, object] | None:
    if lag is None:
        return None
    at_least, at_most = round(lag.at_least, 3), round(lag.at_most, 3)
    return {"at_least": at_least, "at_most": at_most, "snapshots": lag.snapshots}


def _show(findings: Findings) -> None:
    if not findings.is_clear:
        say(f"Not clear, try again: {findings.reason}.")
        return
    Screen().print(_table(findings))
    if findings.remark:
        say(f"{findings.remark[0].upper()}{findings.remark[1:]}.")
    # Not with rich, which would wrap the line that is to be pasted.
    print(findings.settings)


def _table(findings: Findings) -> Table:
    table = Table("", "found", "snapshots")
    counted = "yes" if findings.counts_ringing else "no"
    table.add_row("ringing calls are counted", counted, str(findings.snapshots))
    table.add_row("the counter rises late by", *_lag_cells(findings.rise_lag))
    table.add_row("the counter falls late by", *_lag_cells(findings.fall_lag))
    falls_at_once = "yes" if findings.falls_at_once else "not seen"
    table.add_row("it falls at once when a call is over", falls_at_once, "")
    return table


def _lag_cells(lag: Lag | None) -> tuple[str, str]:
    if lag is None:
        return "not seen", "0"
    return f"{lag.at_least:.1f} to {lag.at_most:.1f} s", str(lag.snapshots)


def _failed(error: CallGuardError | NotPlaced | MaybePlaced, as_json: bool) -> ExitCode:
    code, advice = _verdict(error)
    return report(error, code, advice, as_json=as_json)


def _verdict(error: CallGuardError | NotPlaced | MaybePlaced) -> tuple[ExitCode, str]:
    """The exit code for `error`, and what to do about it."""
    match error:
        case NotPlaced() if error.status in KEY_STATUSES:
            return ExitCode.KEY_REFUSED, "check RETELL_API_KEY"
        case NotPlaced():
            return ExitCode.FAILED, "no call was placed"
        case MaybePlaced():
            code = ExitCode.MALFORMED if error.malformed else ExitCode.UNREACHABLE
            return code, "look for it in the provider's dashboard"
        case _:
            return verdict(error, "probe")
