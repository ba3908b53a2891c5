"""A load balancer in front of several servers, as any deployment has: it knows nothing of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import cycle, islice

from yarl import URL


class Balancer:
    """Gives each new connection to the next server that accepts it.

    Attributes:
        url: where it listens.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        self._addresses = [(url.host, url.port) for url in map(URL, servers)]
        self._first = cycle(range(len(self._addresses)))
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection's bytes both ways until one end is gone."""
        try:
            first, count = next(self._first), len(self._addresses)
            for address in islice(cycle(self._addresses), first, first + count):
                with suppress(OSError):
                    far_reader, far_writer = await asyncio.open_connection(*address)
                    break
            else:
                return
            answers = asyncio.create_task(self._carry(far_reader, writer))
            await self._carry(reader, far_writer)
            await answers
        finally:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def balancing(*servers: str) -> AsyncIterator[Balancer]:
    """A load balancer in front of `servers`, which are addresses."""
    balancer = Balancer(servers)
    listener = await asyncio.start_server(balancer.take, "127.0.0.1", 0, backlog=4096)
    balancer.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        listener.close()
