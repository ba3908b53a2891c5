"""The connection on which a worker makes its exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as Disconnected

from callguard.ledger.redis.connection import Connection

PATIENCE = 30.0
"""Seconds that a command may take, which is not the subject here."""


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """A client with one connection to give, and little patience for a second."""
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=1, timeout=0.01)
    async with Redis.from_pool(pool) as client:
        yield client


async def test_a_connection_is_taken_once_and_given_back(client: Redis) -> None:
    """Each exchange would pay for a connection, or the user's client run out of them."""
    connection = Connection(client, PATIENCE)
    assert await client.ping()
    assert len({await connection.execute_command("CLIENT", "ID") for _ in range(3)}) == 1
    with pytest.raises(Disconnected):
        await client.ping()
    await connection.aclose()
    assert await client.ping()


async def test_a_connection_that_broke_is_made_anew(client: Redis, redis_url: str) -> None:
    """A worker would be cut off for good by one restart of the server."""
    connection = Connection(client, PATIENCE)
    broken = await connection.execute_command("CLIENT", "ID")
    async with Redis.from_url(redis_url) as other:
        await other.client_kill_filter(_id=broken)
    with pytest.raises(Disconnected):
        await connection.execute_command("PING")
    assert await connection.execute_command("CLIENT", "ID") != broken
    await connection.aclose()


async def test_a_late_answer_to_a_command_that_was_cancelled_is_nobody_s(client: Redis) -> None:
    """One exchange would be answered with the answer of the one before."""
    connection = Connection(client, PATIENCE)
    await connection.execute_command("PING")
    waiting = asyncio.create_task(connection.execute_command("BLPOP", "nobody pushes here", 0.02))
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert await connection.execute_command("ECHO", "mine") == b"mine"
    await connection.aclose()


class OwnWay(Redis):
    """A client that runs its commands in a way of its own."""

    async def execute_command(self, *words: Any, **_options: Any) -> Any:
        return words


async def test_a_client_that_runs_commands_in_a_way_of_its_own_runs_these(redis_url: str) -> None:
    """A client that traces, or tries again, would not see the exchanges."""
    async with OwnWay.from_url(redis_url) as client:
        connection = Connection(client, PATIENCE)
        assert await connection.execute_command("PING", "x") == ("PING", "x")
        await connection.aclose()
