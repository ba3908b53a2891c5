"""The messages and exit codes of commands that fail."""

from __future__ import annotations

import json
from typing import Final

from callguard.cli.exits import ExitCode
from callguard.cli.saying import complain
from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    MissingExtra,
    UsageError,
)

__all__ = ["KEY_STATUSES", "in_options", "report", "verdict"]

_SUBJECTS: Final = {"base_url": "the provider's address (--base-url or RETELL_BASE_URL)"}
"""The library's arguments, in the words of the command line."""

_REMEDIES: Final = {
    "api_key": "set RETELL_API_KEY in the environment",
    "allow_plain_http": "use https, or pass --allow-plain-http",
    "client": "for a Sentinel or a cluster, give the address of the server itself",
    "name": "leave it out, and pass --name",
    "lease": "leave it out",
    "timeout": "leave it out",
    "other options": "leave it out",
}
"""What to do on the command line if the library asks for one of these arguments."""

KEY_STATUSES: Final = frozenset({401, 402, 403})
"""The statuses for a key that is wrong, unpaid or not allowed to do this."""


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
        case MissingExtra():
            return ExitCode.NOT_INSTALLED, "install it and try again"
        case _:
            return ExitCode.WRONG_USE, f"see `callguard {command} --help`"


def report(error: Exception, code: ExitCode, advice: str, *, as_json: bool) -> ExitCode:
    """Write the error and the advice to stderr, and with `as_json` an object to stdout.

    Returns:
        The exit code, `code`.
    """
    said = in_options(error)
    if said.endswith("?"):
        complain(f"{said} {advice[0].upper()}{advice[1:]}")
    else:
        complain(f"{said.rstrip('. ')}; {advice}")
    if as_json:
        print(json.dumps({"error": type(error).__name__, "message": said, "exit": code}))
    return code


def in_options(error: Exception) -> str:
    """The message of an error of the library, in the words of the command line."""
    if not isinstance(error, UsageError):
        return str(error)
    subject = _SUBJECTS.get(error.subject, error.subject)
    sentence = f"{subject} {error.problem}" if subject else error.problem
    remedy = _REMEDIES.get(error.missing or "")
    return f"{sentence}: {remedy}" if remedy else sentence
