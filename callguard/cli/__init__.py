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
"""What the extra ``cli`` brings, by name: it works wherever callguard came from."""

_USAGE_ERROR = 2
"""What typer exits with when it can't make sense of the arguments; no command of ours does."""


def load() -> None:
    """Import what the commands need, as far as it is installed; `main` says what is missing."""
    with suppress(ModuleNotFoundError):
        import callguard.cli.app  # noqa: F401, PLC0415


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name.

    Args:
        arguments: what follows the program's name; None for those of this process.

    Returns:
        The code to exit with; see `ExitCode`.
    """
    if sys.stdout is None:
        return output.failed(output.CLOSED)
    output.never_unencodable()
    # What happens is in the picture, which log lines would run through.
    logging.getLogger("callguard").addHandler(logging.NullHandler())
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:  # before a command began, which would have dealt with it
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except OSError as error:
        if not output.is_of_output(error):
            raise
        return output.failed(error)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        # Here, so that whoever lacks the extra reads so instead of a traceback.
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
