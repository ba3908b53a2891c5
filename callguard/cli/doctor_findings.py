"""The findings of ``callguard doctor``, for people and for programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final, Literal

from rich.table import Table
from rich.text import Text

from callguard.cli.exits import ExitCode
from callguard.cli.saying import say
from callguard.cli.screen import Screen
from callguard.doctor import SEVERITIES, Finding, Severity

__all__ = ["as_json", "exit_code", "show"]

_STYLES: Final[dict[Severity, str]] = {
    "error": "bold red",
    "warning": "yellow",
    "unknown": "magenta",
    "note": "cyan",
    "ok": "green",
}


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """`FAILED` if anything is wrong, else `FULL` if something is unknown, else `OK`."""
    severities = {each.severity for each in findings}
    if severities & {"error", "warning"}:
        return ExitCode.FAILED
    return ExitCode.FULL if "unknown" in severities else ExitCode.OK


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """The findings as a JSON object, the worst first, and how many there are of each severity."""
    count = Counter(each.severity for each in findings)
    return {
        "exit": int(exit_code(findings)),
        **{severity: count[severity] for severity in SEVERITIES},
        "findings": [asdict(each) for each in findings],
    }


def show(findings: Sequence[Finding]) -> None:
    """Print the findings, the worst first, and a last line with their numbers."""
    if sys.stdout.isatty():
        Screen().print(_table(findings))
    else:
        for cells in _rows(findings):
            print(*cells, sep="\t")
    say(_sentence(findings))


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for severity, check, said in _rows(findings):
        style = _STYLES[severity] if severity else ""
        table.add_row(Text(severity, style), Text(check), Text(said, "" if severity else "dim"))
    return table


def _rows(findings: Sequence[Finding]) -> Iterator[tuple[Severity | Literal[""], str, str]]:
    """A row for each line: of a finding what, why and the remedy, if it has them."""
    for finding in findings:
        yield finding.severity, finding.check, finding.what
        if finding.why:
            yield "", "", finding.why
        if finding.remedy:
            yield "", "", f"→ {finding.remedy}"


def _sentence(findings: Sequence[Finding]) -> str:
    count = Counter(each.severity for each in findings)
    counted: list[str] = []
    for severity in SEVERITIES:
        plural = "s" if severity in {"error", "warning", "note"} and count[severity] != 1 else ""
        if count[severity]:
            counted.append(f"{count[severity]} {severity}{plural}")
    return ", ".join(counted)
