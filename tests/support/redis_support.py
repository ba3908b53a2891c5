"""Real Redis servers for tests: a shared one, and private ones that a test may stop or flush."""

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
    """The program of the server, for tests that start their own."""
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
    """The address of a server that other tests use too; `workspace_key` keeps their keys apart."""
    return redis_server


@pytest.fixture
def workspace_key() -> str:
    """An API key of this test only, so that its ledger's keys are its own."""
    return f"key_{uuid.uuid4().hex}"


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a new ledger admit callers at once, since there are no workers that could know better.

    Not 0: a reading may begin in the millisecond in which the ledger begins.
    """
    monkeypatch.setattr(ledger, "GRACE", -0.001)


@pytest.fixture
def own_redis(redis_program: Path) -> Iterator[RedisServer]:
    """A private server for this test, to stop, restart, flush or pause."""
    with RedisServer(program=redis_program) as server:
        yield server


@pytest.fixture
def redis_cluster(redis_program: Path) -> Iterator[Sequence[RedisServer]]:
    """The three nodes of a private cluster for this test; a client may use any node's address."""
    with running_cluster(redis_program) as nodes:
        yield nodes
