from __future__ import annotations

import pytest

from tests import loops
from tests.redis_support import (
    own_redis,
    redis_cluster,
    redis_program,
    redis_server,
    redis_url,
    workspace_key,
)

__all__ = [
    "own_redis",
    "pytest_addoption",
    "pytest_configure",
    "redis_cluster",
    "redis_program",
    "redis_server",
    "redis_url",
    "workspace_key",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=loops.LOOPS, default="asyncio", help="what tests run on")


def pytest_configure(config: pytest.Config) -> None:
    loops.choose(config.getoption("--loop"))
