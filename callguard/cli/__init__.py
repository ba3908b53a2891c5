"""The command line: ``callguard demo``, ``callguard status``, ``callguard ps`` and others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress

from callguard.cli import output
from callguard.cli.exits import ExitCode

__all__ = ["load", "main"]

_INSTALL = "pip install 'typer>=0.29' 'rich>=14.0'"
"""Installs the packages of the extra ``cli`` by name, so it works for any install of callguard."""

_USAGE_ERROR = 2
"""typer's exit code for arguments that it can't parse; no command of ours uses it."""


def load() -> None:
    """Import the packages that the commands need, if installed; `main` reports a missing one."""
    with suppress(ModuleNotFoundError):
        import callguard.cli.app  # noqa: F401, PLC0415


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name.

    Args:
        arguments: the arguments after the program's name; None for those of this process.

    Returns:
        The exit code; see `ExitCode`.
    """
    if sys.stdout is None:
        return output.failed(output.CLOSED)
    output.never_unencodable()
    # Log lines would break the demo's picture, which shows the same events.
    logging.getLogger("callguard").addHandler(logging.NullHandler())
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:  # before the command began, which handles later ones
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except OSError as error:
        if not output.is_of_output(error):
            raise
        return output.failed(error)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        # Imported here, so that a missing extra is reported without a traceback.
        from callguard.cli.app import app  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in {"typer", "rich"}:
            raise
        from callguard.errors import MissingExtra  # noqa: PLC0415 - as late as the commands

        error = MissingExtra(f"the command line needs {package}", "cli", _INSTALL)
        print(error, file=sys.stderr)
        return ExitCode.NOT_INSTALLED
    try:
        app(args=arguments, prog_name="callguard")
    except SystemExit as ended:
        return ExitCode.WRONG_USE if ended.code == _USAGE_ERROR else int(ended.code or 0)
    return ExitCode.OK
