"""``callguard probe``: learns from calls of one's own what the provider doesn't document."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final

import typer

from callguard.cli.exits import ExitCode
from callguard.cli.failures import KEY_STATUSES, report, verdict
from callguard.cli.options import BaseUrlOption, PlainHttpOption
from callguard.cli.probe_findings import as_json, show
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.errors import (
    CallGuardError,
    UsageError,
)
from callguard.fetcher import ProviderClient
from callguard.fetcher.reading import Reading
from callguard.limits import Limits
from callguard.probe import LimitPlan, MaybePlaced, NotPlaced, PhoneCall, Plan, price
from callguard.probe import probe as experiment
from callguard.probe.plan import CPS, MOST_CALLS, READING_DEADLINE
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
        limit_plan: how to make the experiment at the limit; None to leave it out.
        base_url, allow_plain_http: the provider's address, as for `ProviderClient`.
        as_json: whether stdout is for a program.
    """

    call: PhoneCall
    plan: Plan
    limit_plan: LimitPlan | None
    base_url: str | None
    allow_plain_http: bool
    as_json: bool

    def client(self) -> ProviderClient:
        """A client that asks the provider, for one event loop."""
        return ProviderClient(
            base_url=self.base_url, timeout=_TIMEOUT, allow_plain_http=self.allow_plain_http
        )

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
    at_the_limit: Annotated[
        bool,
        typer.Option(
            "--at-the-limit", help="Then fill the workspace with calls, to see what is refused."
        ),
    ] = False,
    fill_to: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="The number to fill the workspace with; it takes many calls at once. Else --to.",
        ),
    ] = None,
    most_calls: Annotated[
        int, typer.Option(metavar="NUMBER", help="How many calls --at-the-limit may dial.")
    ] = MOST_CALLS,
    cps: Annotated[
        float, typer.Option(metavar="CPS", help="Calls that the trunk may start per second.")
    ] = CPS,
    base_url: BaseUrlOption = None,
    allow_plain_http: PlainHttpOption = False,
) -> None:
    """Place one call, and learn from it what to pass to open_gate.

    Finds out whether the workspace's counter includes ringing calls, and how late it rises and
    falls. The call is real, and costs what a call costs. Let it ring for more than --longest-lag
    (5 s), answer it, talk for as long, and hang up; a call that is not answered shows less. Probe
    while nobody else is calling: if calls by others move the counter, the result is "not clear"
    instead of a guess. The last line is the call of open_gate to paste.

    With --at-the-limit, and if that was clear, it then fills the workspace with calls to --fill-to,
    a number that takes so many at once and keeps them, such as a conference or an agent of another
    workspace. It finds out whether calls are refused by the late counter or by the calls going on
    (ends_free_at_once), and, if somebody has called in and slots are reserved for inbound calls,
    which calls the reservation bounds (reserved_inbound). If the answers would make no difference,
    it leaves this out. It dials up to four calls more than the limit less the reservation, and
    nobody else can dial meanwhile. It says the number before it asks, and places no call at all if
    the number is above --most-calls. All calls are stopped at the end.

    The key is read from RETELL_API_KEY only: on the command line it would stay in the shell's
    history. A dial whose outcome is unknown is not repeated. Ctrl-C stops all calls.

    Exit code: 0 clear, 75 not clear (try again later), 1 no call was placed (the provider refused
    it, or the question was answered with no), 77 the key was refused, 69 the provider can't be
    reached, 65 its answer is malformed, 64 wrong use, 130 Ctrl-C. After 69 and 65 the call may
    have been placed if the error says so. An error is one line on stderr; with --json it is an
    object on stdout as well.
    """
    try:
        call = PhoneCall(_number("--from", from_number), _number("--to", to_number), agent)
        plan = _plan(interval, longest, longest_lag)
        many = None
        if at_the_limit:
            to = call.to_number if fill_to is None else _number("--fill-to", fill_to)
            many = _limit_plan(replace(call, to_number=to), most_calls, cps)
        options = _Options(call, plan, many, base_url, allow_plain_http, as_json)
        options.client()  # which checks the key and the address
        limits = _affordable(options, yes=yes)
        agreed = yes or _asked(options, limits)
    except CallGuardError as error:
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


def _limit_plan(call: PhoneCall, most_calls: int, cps: float) -> LimitPlan:
    try:
        return LimitPlan(call, most_calls=most_calls, cps=cps)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _affordable(options: _Options, *, yes: bool) -> Limits | None:
    """The limits by which the experiment at the limit is made; None if it isn't to be made.

    Raises:
        UsageError: there is nobody to ask whether to place a call, or it takes too many calls.
        CallGuardError: the limits could not be read.
    """
    if not (yes or sys.stdin.isatty()):
        raise UsageError("no terminal to ask at: pass --yes to place the call")
    if options.limit_plan is None:
        return None
    limits, most = asyncio.run(_limits(options.client())), options.limit_plan.most_calls
    if price(limits) > most:
        raise UsageError(
            f"--at-the-limit may dial {price(limits)} calls here, and --most-calls is {most}: pass "
            f"--most-calls {price(limits)} to agree"
        )
    return limits


async def _limits(client: ProviderClient) -> Limits:
    try:
        return (await Reading(client, READING_DEADLINE).take()).limits
    finally:
        await client.aclose()


def _asked(options: _Options, limits: Limits | None) -> bool:
    """Ask the person at the terminal whether to place the call, or all that `limits` takes."""
    for sentence in _announcement(options, limits):
        complain(sentence)
    question = "Place the call?" if limits is None else "Place the calls?"
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _announcement(options: _Options, limits: Limits | None) -> list[str]:
    call, plan, many = options.call, options.plan, options.limit_plan
    numbers = f"from {call.from_number} to {call.to_number}"
    answer = f"Let it ring for more than {plan.longest_lag:g} s, answer it, and talk for as long"
    sentences = [
        f"One real call {numbers}, by {options.client().url('')}, at the price of a call.",
        f"{answer}. It is stopped after {plan.longest:g} s.",
    ]
    if many is not None and limits is not None:
        sentences.append(
            f"Then up to {price(limits)} calls to {many.call.to_number}, most of them at once, "
            "each at the price of a call. They fill the workspace: for a minute or two nobody else "
            "can dial. All are stopped at the end."
        )
    if limits is not None and limits.reserved_inbound_concurrency:
        sentences.append(
            "Slots are reserved for inbound calls: be ready to call a number of the workspace."
        )
    return sentences


async def _probe(options: _Options) -> ExitCode:
    client = options.client()
    try:
        findings = await experiment(
            client, options.call, options.plan, options.progress, options.limit_plan
        )
    except (CallGuardError, NotPlaced, MaybePlaced) as error:
        return _failed(error, options.as_json)
    finally:
        await client.aclose()
    code = ExitCode.OK if findings.is_clear else ExitCode.FULL
    if options.as_json:
        print(json.dumps(as_json(findings) | {"exit": code}))
    else:
        show(findings)
    return code


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
