"""The typer application with all commands."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperCommand

import callguard
from callguard.cli.demo import demo
from callguard.cli.demo_worker import demo_worker
from callguard.cli.doctor import doctor
from callguard.cli.drain import drain
from callguard.cli.pause import pause, resume
from callguard.cli.probe import probe
from callguard.cli.ps import ps
from callguard.cli.serve import serve
from callguard.cli.simulator import simulator
from callguard.cli.status import status
from callguard.cli.top import top

__all__ = ["app"]


class _Command(TyperCommand):
    """A command whose line in the list of commands isn't cut off within a sentence."""

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002
        return super().get_short_help_str(_NO_LIMIT)


_NO_LIMIT = 1000
"""Characters, more than any first sentence has. The list of commands wraps lines by itself."""

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(cls=_Command)(demo)
app.command(cls=_Command)(status)
app.command(cls=_Command)(doctor)
app.command(cls=_Command)(ps)
app.command(cls=_Command)(top)
app.command(cls=_Command)(pause)
app.command(cls=_Command)(resume)
app.command(cls=_Command)(drain)
app.command(cls=_Command)(probe)
app.command(cls=_Command)(serve)
app.command(cls=_Command)(simulator)
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
