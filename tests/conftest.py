from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from callguard_pytest import simulated_workspace
from tests.support import loops, skips
from tests.support.addresses import nowhere
from tests.support.redis_support import (
    no_grace,
    own_redis,
    redis_cluster,
    redis_program,
    redis_server,
    redis_url,
    workspace_key,
)

__all__ = [
    "no_grace",
    "nowhere",
    "own_redis",
    "pytest_addoption",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "redis_cluster",
    "redis_program",
    "redis_server",
    "redis_url",
    "simulated_workspace",
    "workspace_key",
]


# The same examples in every run, and none that fails because the machine is busy.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _heeds_ctrl_c() -> Iterator[None]:
    """Ignored signals are inherited, and a shell's background jobs ignore Ctrl-C; not ours."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=loops.LOOPS, default="asyncio", help="what tests run on")
    skips.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    loops.choose(config.getoption("--loop"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    skips.fail_on_skips(session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skips.summarise(terminalreporter)
