"""How often a worker asks whose callers wait, on a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from callguard.ledger import Claim
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.session import Session
from tests.support.bent_client import BentClient
from tests.support.bent_server import BentServer
from tests.support.virtual_time import run
from tests.unit.ledger.bent_clock import Recorder, settings

SECONDS = 20.0
LEASE = 10.0


class Waiting:
    """A claimant with one caller in the queue, for whom there is no room."""

    def claims(self) -> list[Claim]:
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
    line: Any = CountingClient(server, is_deaf=is_deaf)
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
