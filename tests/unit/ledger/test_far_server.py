"""A server that is so far away that to connect takes longer than an exchange may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from callguard import Limits
from callguard.ledger import Claim
from callguard.ledger.redis.connection import Connection
from callguard.ledger.redis.session import Session
from tests.support.virtual_time import run
from tests.unit.ledger.bent_clock import BentLedger, Recorder


class Anybody:
    """A claimant for whom nobody waits."""

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return []

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


class FarServer:
    """A server on a clock that jumps, each of whose answers takes as many seconds.

    Attributes:
        connections: how often somebody has connected.
        exchanges: how many exchanges were made.
    """

    def __init__(self, ledger: BentLedger, takes: float) -> None:
        self.takes = takes
        self.connections = 0
        self.exchanges = 0
        self._ledger = ledger

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while said := await reader.read(65536):
            await asyncio.sleep(self.takes)
            for command in said.split(b"*")[1:]:
                writer.write(self._answer(command.split(b"\r\n")[2::2]))
        writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if words[0] != b"EVALSHA":
            return b"+OK\r\n"
        self.exchanges += 1
        self._ledger.now = round(asyncio.get_running_loop().time() * 1000)
        answer = self._ledger.run(*words[3 + int(words[2]) :])
        return b"$%d\r\n%s\r\n" % (len(answer), answer)


@asynccontextmanager
async def far(server: FarServer) -> AsyncIterator[Redis]:
    """A client of `server`; each connection begins with two round trips."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        pool = ConnectionPool(
            port=port,
            password="x",
            db=1,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
        )
        async with Redis.from_pool(pool) as client:
            yield client
        await asyncio.sleep(2 * server.takes)  # it says its last to nobody


@pytest.mark.parametrize("takes", [0.4, 0.6, 0.9])
def test_a_server_that_is_far_away_is_reached(ledger: BentLedger, takes: float) -> None:
    """A worker whose connection broke would never come back, though each answer comes in time."""

    async def scenario() -> int:
        server = FarServer(ledger, takes)
        claimant: Any = Anybody()
        async with far(server) as client:
            session = Session(client, "one", "one", ledger.names, ledger.settings, claimant, "key")
            session.view.readings.serve(Recorder(session.view))
            await session.start()
            await asyncio.sleep(10.0)
            assert not session.view.alone
            await session.aclose()
        return server.connections

    assert run(scenario()) == 2  # one of them listens


def test_connecting_is_given_up_at_some_time(ledger: BentLedger) -> None:
    """A worker would wait for ever for an answer that got lost on the way."""

    async def scenario() -> list[int]:
        server, loop = FarServer(ledger, takes=3600.0), asyncio.get_running_loop()
        made = []
        async with far(server) as client:
            connection = Connection(client, timeout=1.0)
            for until in (3.5, 4.5, 7.5, 8.5):
                while loop.time() < until:
                    with pytest.raises(TimeoutError):
                        await connection.execute_command("ECHO", "x")
                made.append(server.connections)
            await connection.aclose()
        return made

    assert run(scenario()) == [1, 2, 2, 3]


def test_a_connection_that_is_closed_while_it_is_made_leaves_nothing(ledger: BentLedger) -> None:
    """A closed gate would go on connecting, and keep a connection of the user's client."""

    async def scenario() -> None:
        async with far(FarServer(ledger, takes=0.6)) as client:
            connection = Connection(client, timeout=1.0)
            with pytest.raises(TimeoutError):
                await connection.execute_command("ECHO", "x")
            await connection.aclose()
            names = {task.get_name() for task in asyncio.all_tasks()}
            assert not any(name.startswith("callguard") for name in names)
            assert not client.connection_pool._in_use_connections

    run(scenario())
