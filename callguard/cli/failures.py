"""How the commands fail: what they say, and what they exit with."""

from __future__ import annotations

import json
import sys
from typing import Final

from callguard.cli.exits import ExitCode
from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)

__all__ = ["KEY_STATUSES", "report", "verdict"]

KEY_STATUSES: Final = frozenset({401, 402, 403})
"""What a provider answers to a key that is wrong, unpaid or not allowed to do this."""


def verdict(error: CallGuardError, command: str) -> tuple[ExitCode, str]:
    """The exit code of `command` for `error`, and what to do about it."""
    match error:
        case LimitsRejected() if error.status in KEY_STATUSES:
            return ExitCode.KEY_REFUSED, "check RETELL_API_KEY"
        case LimitsRejected():
            return ExitCode.WRONG_USE, "check --base-url and RETELL_BASE_URL"
        case LimitsMalformed():
            return ExitCode.MALFORMED, "check that --base-url and RETELL_BASE_URL are the provider"
        case LimitsUnavailable() | LedgerUnavailable():
            return ExitCode.UNREACHABLE, "try again later, or check the address and the network"
        case UsageError(__context__=ImportError()):
            return ExitCode.NOT_INSTALLED, "install it and try again"
        case _:
            return ExitCode.WRONG_USE, f"see `callguard {command} --help`"


def report(error: Exception, code: ExitCode, advice: str, *, as_json: bool) -> ExitCode:
    """Say what happened and what to do: a line on stderr, and with `as_json` an object on stdout.

    Returns:
        The `code`, to exit with.
    """
    print(f"{error}; {advice}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": type(error).__name__, "message": str(error), "exit": code}))
    return code
