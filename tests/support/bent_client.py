"""A worker's connection to a bent server: a stand-in for redis-py's client, under virtual time."""

from __future__ import annotations

import asyncio
from typing import Any, Self

from tests.support.bent_server import BentServer, Published

__all__ = ["BentClient", "Line"]


class BentClient:
    """The part of the client that the ledger uses, with pub/sub, but without delays and faults.

    Args:
        server: the server that runs the exchanges, at the event loop's time.
    """

    def __init__(self, server: BentServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._channels: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    def exchange(self, words: tuple[Any, ...]) -> tuple[bytes, Published]:
        """Make the exchange that `execute_command` got, in no time; see `BentServer`."""
        request = words[3 + int(words[2]) :]  # after the command, the digest and the keys
        return self._server.exchange(round(self._loop.time() * 1000), *request)

    async def execute_command(self, *words: Any) -> Any:
        """Make an exchange, or answer INFO."""
        return {"maxmemory": 0} if words[0] == "INFO" else await self._run(words)

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        raise NotImplementedError

    def pubsub(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._channels.clear()

    async def subscribe(self, *channels: str) -> None:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._channels = dict.fromkeys(channels, queue)
        for _ in channels:
            queue.put_nowait({"type": "subscribe"})

    async def get_message(self, timeout: float) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(timeout):
                return await next(iter(self._channels.values())).get()
        except TimeoutError:
            return None

    async def ping(self) -> None:
        for queue in list(self._channels.values())[:1]:
            queue.put_nowait({"type": "pong"})

    def hear(self, channel: str, message: bytes) -> None:
        """Receive a published message, if its channel is subscribed to."""
        if channel in self._channels:
            self._channels[channel].put_nowait({"type": "message", "data": message})


class Line(BentClient):
    """A connection without latency; what its exchanges publish reaches all `lines`."""

    def __init__(self, server: BentServer, lines: list[Line]) -> None:
        super().__init__(server)
        self._lines = lines
        lines.append(self)

    async def _run(self, words: tuple[Any, ...]) -> bytes:
        answer, published = self.exchange(words)
        for channel, message in published:
            for line in self._lines:
                line.hear(channel, message)
        return answer
