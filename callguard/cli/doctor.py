"""``callguard doctor``: what is wrong with a setup, before the campaign shows it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from callguard.arguments import checked_seconds
from callguard.cli.doctor_findings import as_json as findings_as_json
from callguard.cli.doctor_findings import exit_code, show
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import BaseUrlOption, PlainHttpOption
from callguard.cli.running import run
from callguard.cli.setup_options import parse_cps, parse_lane, parse_trunk
from callguard.doctor import Setup, examine
from callguard.errors import CallGuardError, UsageError
from callguard.lanes import checked_lanes
from callguard.trunks import checked_trunks

__all__ = ["doctor"]


def doctor(
    *,
    lane: Annotated[
        list[str] | None,
        typer.Option(metavar="LANE", help="A lane, such as urgent:burst=5,reserve=2; repeatable."),
    ] = None,
    cps: Annotated[
        str, typer.Option(metavar="CPS", help="The rate of calls that name no trunk, or none.")
    ] = "1",
    trunk: Annotated[
        list[str] | None,
        typer.Option(metavar="TRUNK", help="A trunk, such as twilio:cps=5,calls=50; repeatable."),
    ] = None,
    average_call: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a call lasts on average, with its ringing."),
    ] = 60.0,
    base_url: BaseUrlOption = None,
    allow_plain_http: PlainHttpOption = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, on errors too.")
    ] = False,
) -> None:
    """Say what is wrong with a setup before the campaign does: key, address, limits, lanes, rates.

    The options say how the gates are going to be opened. It places no call and changes nothing.
    Each finding says what was found, why it matters, and what to do, the worst first. What can't be
    found out is unknown, and never taken for right. The key is read from RETELL_API_KEY only. No
    output contains a secret. docs/doctor.md lists all checks.

    Exit code: 0 nothing is wrong (there may be notes), 1 there are warnings or errors, 75 nothing
    is known to be wrong, but something is unknown, 64 wrong use.
    """
    options = (lane or [], cps, trunk or [], average_call)
    run(_doctor(options, base_url, allow_plain_http, as_json))


_Options = tuple[list[str], str, list[str], float]
"""The lanes, the default rate, the trunks and the length of a call, as they were given."""


async def _doctor(
    options: _Options, base_url: str | None, allow_plain_http: bool, as_json: bool
) -> ExitCode:
    try:
        setup = _setup(options, base_url, allow_plain_http)
    except CallGuardError as error:
        return report(error, *verdict(error, "doctor"), as_json=as_json)
    findings = await examine(setup)
    if as_json:
        print(json.dumps(findings_as_json(findings)))
    else:
        show(findings)
    return exit_code(findings)


def _setup(options: _Options, base_url: str | None, allow_plain_http: bool) -> Setup:
    lanes, cps, trunks, average_call = options
    try:
        return Setup(
            base_url=base_url,
            allow_plain_http=allow_plain_http,
            lanes=checked_lanes([parse_lane(each) for each in lanes]),
            trunks=checked_trunks([parse_trunk(each) for each in trunks], parse_cps(cps)),
            average_call=checked_seconds("--average-call", average_call, above_zero=True),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
