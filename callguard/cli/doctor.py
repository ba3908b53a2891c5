"""``callguard doctor``: what is wrong with a setup, before the campaign shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from callguard.cli.doctor_findings import as_json as findings_as_json
from callguard.cli.doctor_findings import exit_code, show
from callguard.cli.doctor_setup import Options
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import BaseUrlOption, LedgerOption, NameOption, PlainHttpOption
from callguard.cli.running import run
from callguard.doctor import examine
from callguard.errors import CallGuardError

__all__ = ["doctor"]


def doctor(
    *,
    lane: Annotated[
        list[str] | None,
        typer.Option(metavar="LANE", help="A lane, such as urgent:burst=5,reserve=2; repeatable."),
    ] = None,
    cps: Annotated[
        str | None,
        typer.Option(
            metavar="CPS", help="The rate of calls that name no trunk, or none.  [default: 1]"
        ),
    ] = None,
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
    ledger: LedgerOption = None,
    name: NameOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The configuration of `callguard serve`; options come before it."
        ),
    ] = None,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Send a signed test delivery there, and some that are forged."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, on errors too.")
    ] = False,
) -> None:
    """Say what is wrong before the campaign does: key, limits, lanes, rates, ledger, webhooks.

    The options say how the gates are going to be opened, and so does --config for what they leave
    out. It places no call and changes nothing.
    With --webhook-url a receiver gets four test deliveries, of an event that the provider doesn't
    have: a genuine one, and three that it has to refuse.
    Each finding says what was found, why it matters, and what to do, the worst first. What can't be
    found out is unknown, and never taken for right. The key is read from RETELL_API_KEY only. No
    output contains a secret. docs/doctor.md lists all checks.

    Exit code: 0 nothing is wrong (there may be notes), 1 there are warnings or errors, 75 nothing
    is known to be wrong, but something is unknown, 64 wrong use.
    """
    options = Options(
        lanes=lane or [],
        cps=cps,
        trunks=trunk or [],
        average_call=average_call,
        base_url=base_url,
        allow_plain_http=allow_plain_http,
        ledger=ledger,
        ledger_name=name,
        webhook_url=webhook_url,
        config=config,
    )
    run(_doctor(options, as_json))


async def _doctor(options: Options, as_json: bool) -> ExitCode:
    try:
        setup = options.setup()
    except CallGuardError as error:
        return report(error, *verdict(error, "doctor"), as_json=as_json)
    findings = await examine(setup)
    if as_json:
        print(json.dumps(findings_as_json(findings)))
    else:
        show(findings)
    return exit_code(findings)
