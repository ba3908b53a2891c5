"""`Finding`: what a check has found, why it matters, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

__all__ = ["SEVERITIES", "Finding", "Severity", "Unknown"]

Severity: TypeAlias = Literal["error", "warning", "unknown", "note", "ok"]
"""How bad a finding is: calls can't be placed, or will be lost or refused; something is likely to
go wrong or to be wasted; it could not be found out; worth knowing; nothing is wrong."""

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""All of them, the worst first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a check.

    Attributes:
        check: the check's name, one of `CHECKS`.
        severity: how bad it is.
        what: what was found, with its values, as a clause.
        why: why it matters; empty if nothing is wrong.
        remedy: what to do; empty if there is nothing to do.
    """

    check: str
    severity: Severity
    what: str
    why: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be found out.

    Attributes:
        reason: why not, as a clause without secrets.
        remedy: what to do about that; empty if the check knows best.
    """

    reason: str
    remedy: str = ""
