"""A ledger that gates share under virtual time: real scripts, and a network without faults."""

from __future__ import annotations

import asyncio
import secrets
from types import TracebackType
from typing import Any, Self, cast

from redis import Redis

from callguard import RedisLedger
from callguard.ledger.redis.keys import Names
from tests.support.bent_client import BentClient
from tests.support.bent_server import BentServer

__all__ = ["SharedLedger"]

ONE_WAY = 0.001
"""Seconds to the server, as many back, and as many until what it publishes is heard: ten times what
two machines in one data centre need, and less than between two of them."""


class SharedLedger:
    """The ledger of one workspace; a context manager, which leaves nothing on the server.

    Made in the event loop, whose time the scripts are told.

    Args:
        url: a real server's address.
    """

    def __init__(self, url: str) -> None:
        self._name = f"benchmark {secrets.token_hex(8)}"  # not drawn from a seed, as others are
        self._client = Redis.from_url(url)
        self._server = BentServer(self._client, Names(self._name))
        self._clients: list[BentClient] = []

    def ledger(self) -> RedisLedger:
        """The ledger as one worker has them, on a connection of its own."""
        client = _PromptClient(self._server, self._clients)
        self._clients.append(client)
        return RedisLedger(cast("Any", client), name=self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._client:
            self._server.forget()


class _PromptClient(BentClient):
    """A connection to whose other end it is `ONE_WAY`."""

    def __init__(self, server: BentServer, clients: list[BentClient]) -> None:
        super().__init__(server)
        self._clients = clients

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        await asyncio.sleep(ONE_WAY)
        answer, published = self.exchange(words)
        loop = asyncio.get_running_loop()
        for channel, message in published:
            for client in self._clients:
                loop.call_later(ONE_WAY, client.hear, channel, message)
        await asyncio.sleep(ONE_WAY)
        return answer
