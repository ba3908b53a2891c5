"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

import callguard
from callguard.cli.demo import demo
from callguard.cli.demo_worker import demo_worker
from callguard.cli.probe import probe
from callguard.cli.ps import ps
from callguard.cli.simulator import simulator
from callguard.cli.status import status

__all__ = ["app"]

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(status)
app.command()(ps)
app.command()(probe)
app.command()(simulator)
app.command(hidden=True)(demo_worker)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"callguard {callguard.__version__}")
        raise typer.Exit


@app.callback()
def _callguard(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """The gate in front of an outbound voice call."""
