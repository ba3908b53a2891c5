"""``callguard serve``: the gate as a proxy for the provider, for any dialer."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import LedgerOption, PlainHttpOption
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.cli.setup_options import parse_cps, parse_lane, parse_trunk
from callguard.errors import MissingExtra, UsageError
from callguard.serve.configuration import configured
from callguard.serve.settings import ServeSettings

__all__ = ["serve"]


def serve(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="CALLGUARD_CONFIG",
            help="A TOML file with the settings that docs/serve.md lists.",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; 0 for any free one.  [default: 8790]")
    ] = None,
    provider_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The provider's address; else the production server."),
    ] = None,
    lane: Annotated[
        list[str] | None,
        typer.Option(metavar="LANE", help="A lane, as urgent:priority=-1,reserve=2."),
    ] = None,
    trunk: Annotated[
        list[str] | None,
        typer.Option(metavar="TRUNK", help="A further trunk, as twilio:cps=5,calls=50."),
    ] = None,
    cps: Annotated[
        str | None,
        typer.Option(help="Calls per second on the default trunk, or none.  [default: 1]"),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long a request waits at most.  [default: as its client does, else 25]",
        ),
    ] = None,
    ledger: LedgerOption = None,
    read_only: Annotated[
        bool | None,
        typer.Option("--read-only", help="Refuse to pause, to resume and to drain."),
    ] = None,
    allow_plain_http: PlainHttpOption = False,
) -> None:
    """Run the gate as a proxy for the provider: set RETELL_BASE_URL of a dialer to its address.

    Requests that start calls wait until their call fits; all others are forwarded as they are. The
    first --lane is that of requests which name none by X-Callguard-Lane. --lane, --trunk and --cps
    are in the file too, as are all other settings; flags come before the environment
    (CALLGUARD_PORT and so on), and that before the file. RETELL_API_KEY is the key of the
    workspace that the page and the status show. An address that others can reach needs
    CALLGUARD_TOKEN.

    SIGTERM and Ctrl-C drain: who waits is told to come back, and live calls go on (exit code 0). A
    second one ends it at once. Exit code: 64 wrong use, 69 the port can't be opened, 78 jinja2 or
    redis-py is not installed.
    """
    flags: dict[str, object] = {
        "host": host,
        "port": port,
        "provider_url": provider_url,
        "wait": wait,
        "ledger": ledger,
        "read_only": read_only,
        "allow_plain_http": allow_plain_http or None,
    }
    try:
        flags |= _gate(lane or [], trunk or [], cps)
        settings = configured(config, os.environ, flags)
    except UsageError as error:
        raise typer.Exit(
            report(error, ExitCode.WRONG_USE, "see `callguard serve --help`", as_json=False)
        ) from None
    _log_to_stderr()
    run(_served(settings))


def _gate(lanes: list[str], trunks: list[str], cps: str | None) -> dict[str, object]:
    """The flags about the gate, as far as there are any."""
    found: dict[str, object] = {}
    if lanes:
        first, *others = map(parse_lane, lanes)
        found["lanes"] = [asdict(replace(first, default=True)), *map(asdict, others)]
    if trunks:
        found["trunks"] = [asdict(parse_trunk(text)) for text in trunks]
    if cps is not None:
        rate = parse_cps(cps)
        found["cps"] = "none" if rate is None else rate
    return found


async def _served(settings: ServeSettings) -> ExitCode:
    try:
        from callguard.serve.running import run as serve_until_signal  # noqa: PLC0415 - the page's
    except MissingExtra as error:
        return report(error, *verdict(error, "serve"), as_json=False)
    try:
        await serve_until_signal(settings, lambda url: _introduce(url, settings))
    except OSError as error:
        complain(f"can't listen on {settings.host} port {settings.port}: {error}; choose another")
        return ExitCode.UNREACHABLE
    return ExitCode.OK


def _introduce(url: str, settings: ServeSettings) -> None:
    say(f"The gate listens on {url}, in front of {settings.provider_url}.")
    print(f"Try it:  RETELL_BASE_URL={url} your-dialer")
    if settings.api_key is None:
        say("To watch it, set RETELL_API_KEY: the page and callguard top show its workspace.")
    else:
        print(f"Watch it:  {url}/")
    if settings.token is not None:
        say("Requests need the token, as the header X-Callguard-Token or as the bearer.")
    # This flushes stdout, which a reader at a pipe waits for.
    say("Ctrl-C drains it.")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("callguard")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
