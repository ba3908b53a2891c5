"""``callguard doctor``: what is wrong with a setup, before the campaign shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from callguard.arguments import checked_seconds, is_sendable
from callguard.cli.doctor_findings import as_json as findings_as_json
from callguard.cli.doctor_findings import exit_code, show
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import BaseUrlOption, LedgerOption, NameOption, PlainHttpOption
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
    ledger: LedgerOption = None,
    name: NameOption = None,
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

    The options say how the gates are going to be opened. It places no call and changes nothing.
    With --webhook-url a receiver gets four test deliveries, of an event that the provider doesn't
    have: a genuine one, and three that it has to refuse.
    Each finding says what was found, why it matters, and what to do, the worst first. What can't be
    found out is unknown, and never taken for right. The key is read from RETELL_API_KEY only. No
    output contains a secret. docs/doctor.md lists all checks.

    Exit code: 0 nothing is wrong (there may be notes), 1 there are warnings or errors, 75 nothing
    is known to be wrong, but something is unknown, 64 wrong use.
    """
    options = _Options(
        lanes=lane or [],
        cps=cps,
        trunks=trunk or [],
        average_call=average_call,
        base_url=base_url,
        allow_plain_http=allow_plain_http,
        ledger=ledger,
        ledger_name=name,
        webhook_url=webhook_url,
    )
    run(_doctor(options, as_json))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of the command, as they were given."""

    lanes: list[str]
    cps: str
    trunks: list[str]
    average_call: float
    base_url: str | None
    allow_plain_http: bool
    ledger: str | None
    ledger_name: str | None
    webhook_url: str | None

    def setup(self) -> Setup:
        """What they say is to be examined.

        Raises:
            UsageError: an option can't be right.
        """
        if self.ledger_name is not None and not is_sendable(self.ledger_name):
            raise UsageError("--name must be text that can be sent, and not empty")
        if self.webhook_url is not None and not _is_address(self.webhook_url):
            raise UsageError("--webhook-url must begin with http:// or https://, and name a host")
        try:
            length = checked_seconds("--average-call", self.average_call, above_zero=True)
            trunks = [parse_trunk(each) for each in self.trunks]
            return Setup(
                base_url=self.base_url,
                allow_plain_http=self.allow_plain_http,
                lanes=checked_lanes([parse_lane(each) for each in self.lanes]),
                trunks=checked_trunks(trunks, parse_cps(self.cps)),
                average_call=length,
                ledger=self.ledger or None,
                ledger_name=self.ledger_name,
                webhook_url=self.webhook_url,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()


async def _doctor(options: _Options, as_json: bool) -> ExitCode:
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
