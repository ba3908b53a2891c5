"""How often a worker asks whose callers wait, and how long they wait, on a clock that jumps."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from callguard import Limits, RedisLedger, open_gate
from callguard.backoff import LEAST_BACKOFF
from callguard.gate.opening import Opening
from callguard.ledger import Claim
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.session import Session
from callguard.testing import ScriptedSource
from tests.support.bent_client import BentClient, Line
from tests.support.bent_server import BentServer, Published
from tests.support.virtual_time import run
from tests.unit.ledger.bent_clock import Recorder, settings

SECONDS = 20.0
LEASE = 10.0

MOST = 10_000
"""Exchanges after which a line takes its time, so that a test ends."""


class Waiting:
    """A claimant with one caller in the queue, for whom there is no room."""

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return [Claim("default", 0, 0, 1, 0.0)]

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


class CountingClient(BentClient):
    """A line that takes no time.

    Attributes:
        exchanges: how many were made.
    """

    def __init__(self, server: BentServer, *, is_deaf: bool) -> None:
        super().__init__(server)
        self.exchanges = 0
        self._is_deaf = is_deaf

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        self.exchanges += 1
        return self.exchange(words)[0]

    async def subscribe(self, *channels: str) -> None:
        if self._is_deaf:
            raise NoPermissionError("not allowed")
        await super().subscribe(*channels)


async def exchanges(server: BentServer, *, is_deaf: bool) -> int:
    """How many exchanges a worker makes whose caller waits for so many seconds."""
    return await exchanges_on(CountingClient(server, is_deaf=is_deaf), server)


async def exchanges_on(line: Any, server: BentServer) -> int:
    """The same, on this line."""
    claimant: Any = Waiting()
    session = Session(line, "one", "label", server.names, settings(lease=LEASE), claimant, "key")
    session.view.readings.serve(Recorder(session.view))
    await session.start()
    await asyncio.sleep(SECONDS)
    made: int = line.exchanges
    await session.aclose()
    return made


@pytest.mark.parametrize(("is_deaf", "most"), [(False, 14), (True, 60)])
def test_a_worker_that_can_be_called_asks_no_more_often_than_its_lease_wants(
    client: Redis, workspace_key: str, is_deaf: bool, most: int
) -> None:
    """Gates at which callers wait would busy the server, the more the more there are; or one that
    hears no push would never be called."""
    server = BentServer(client, Names(workspace_key))
    made = run(exchanges(server, is_deaf=is_deaf))
    server.forget()
    assert most / 2 <= made <= most


class DenyingClient(CountingClient):
    """A line to a server that takes everything but claims, as one does whose memory is full."""

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        if self.exchanges > MOST:
            await asyncio.sleep(SECONDS)
        answer = await super()._run(words)
        if json.loads(words[-2])["claims"]:
            raise ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
        return answer


def test_a_server_that_takes_only_some_exchanges_is_not_asked_without_a_pause(
    client: Redis, workspace_key: str
) -> None:
    """Each gate would busy it as fast as it answers, since some exchanges do succeed."""
    server = BentServer(client, Names(workspace_key))

    async def main() -> int:
        line = DenyingClient(server, is_deaf=False)
        return await exchanges_on(line, server)

    made = run(main())
    server.forget()
    assert made <= 3 * SECONDS / LEAST_BACKOFF


class Troubled(BentServer):
    """A server that may not bring everything to everybody.

    Attributes:
        trouble: "no publishing", "no listening", "pushes get lost", or "".
    """

    def __init__(self, client: Redis, names: Names, trouble: str) -> None:
        super().__init__(client, names)
        self.trouble = trouble

    def exchange(self, now: int, *request: str | bytes, fails: str = "") -> tuple[bytes, Published]:
        if self.trouble == "no publishing":
            fails = "PUBLISH"
        answer, published = super().exchange(now, *request, fails=fails)
        return answer, [] if self.trouble == "pushes get lost" else published


class TroubledLine(Line):
    """A line to a `Troubled` server."""

    async def subscribe(self, *channels: str) -> None:
        if isinstance(self._server, Troubled) and self._server.trouble == "no listening":
            raise NoPermissionError("not allowed")
        await super().subscribe(*channels)


HEARTBEAT = LEASE / 5


@pytest.mark.parametrize(
    ("trouble", "most"),
    [
        ("", 0.0),
        ("no listening", HEARTBEAT / 2),
        ("no publishing", HEARTBEAT),
        ("pushes get lost", HEARTBEAT),
    ],
)
def test_a_slot_is_another_s_soon_though_nobody_can_be_called(
    client: Redis, workspace_key: str, trouble: str, most: float
) -> None:
    """Callers would wait for a push that never comes, beside free slots."""

    async def waits(server: BentServer, phase: float) -> float:
        lines: list[Line] = []

        def opened() -> Opening:
            line: Any = TroubledLine(server, lines)
            ledger = RedisLedger(line, name=workspace_key, lease=LEASE)
            return open_gate(source=source, ledger=ledger, ttl=5.0, max_age=60.0)

        async def arrives() -> float:
            async with second.admit() as permit:
                permit.cancel()
            return asyncio.get_running_loop().time()

        source = ScriptedSource(limit=1)
        async with opened() as first, opened() as second:
            async with first.admit() as held:
                arriving = asyncio.create_task(arrives())
                await asyncio.sleep(20.0 + phase)
                held.cancel()
            left_at = asyncio.get_running_loop().time()
            return await arriving - left_at

    found = []
    for phase in (0.0, 0.7, 1.4, 2.1, 2.8, 3.5, 4.2):
        server = Troubled(client, Names(workspace_key), trouble)
        found.append(run(waits(server, phase)))
        server.forget()
    assert most / 2 <= max(found) <= most
