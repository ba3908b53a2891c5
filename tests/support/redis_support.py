"""Real Redis servers for tests: one that all share, and such as a test may ill-treat."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from callguard.ledger.redis import ledger
from callguard.testing import RedisServer, find_server
from tests.support.redis_cluster import running_cluster
from tests.support.skips import NO_SERVER

_URL = "CALLGUARD_TEST_REDIS_URL"


@pytest.fixture(scope="session")
def redis_program() -> Path:
    """The program of a server that tests may start as often as they like."""
    program = find_server()
    if program is None:
        pytest.skip(NO_SERVER)
    return program


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the server that this worker's tests share."""
    if given := os.environ.get(_URL):
        yield given
        return
    with RedisServer(program=request.getfixturevalue("redis_program")) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The address of a server which others use too, so keys have to be told by `workspace_key`."""
    return redis_server


@pytest.fixture
def workspace_key() -> str:
    """An API key that no other test has, so that no other test sees the keys named after it."""
    return f"key_{uuid.uuid4().hex}"


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new ledger admits callers at once: nobody is there who could object.

    Not 0: a reading may begin in the millisecond in which the ledger begins.
    """
    monkeypatch.setattr(ledger, "GRACE", -0.001)


@pytest.fixture
def own_redis(redis_program: Path) -> Iterator[RedisServer]:
    """A server of this test's own, to stop, restart, flush or pause."""
    with RedisServer(program=redis_program) as server:
        yield server


@pytest.fixture
def redis_cluster(redis_program: Path) -> Iterator[Sequence[RedisServer]]:
    """The three nodes of a cluster of this test's own; any one's address will do for a client."""
    with running_cluster(redis_program) as nodes:
        yield nodes
