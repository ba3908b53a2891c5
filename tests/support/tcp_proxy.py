"""A network that fails: traffic between a client and a server can be delayed, held or lost."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

_HOST = "127.0.0.1"


class TcpProxy:
    """A proxy in front of a server, which has no faults until a test asks for them.

    Attributes:
        port: the port that it listens on.
        delay: seconds by which all traffic is delayed in each direction, until `heal`.
        loses_everything: whether it is `half_open`.
        replies_flow: cleared while `hold_replies` is in force.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.port = 0
        self.delay = 0.0
        self.loses_everything = False
        self.replies_flow = asyncio.Event()
        self.replies_flow.set()
        self._connections: set[_Connection] = set()

    def url(self, path: str = "") -> str:
        """The address for Redis clients that connect through the proxy."""
        return f"redis://{_HOST}:{self.port}{path}"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def drop(self) -> None:
        """Cut every connection, with all traffic in flight."""
        for connection in self._connections:
            connection.cut()

    def refuse(self) -> None:
        """Refuse new connections, until `heal`; existing ones stay."""
        self._deafen()
        self._listener = _bound(self.port)  # so that nobody else gets the port meanwhile

    def half_open(self) -> None:
        """Keep connections and accept new ones, but lose all traffic on them, until `heal`."""
        self.loses_everything = True

    def hold_replies(self) -> None:
        """Let requests through but hold back the replies, until `heal` lets them go."""
        self.replies_flow.clear()

    def heal(self) -> None:
        """End every fault. Connections that have lost traffic are cut.

        Otherwise the reply to one request would be taken for the reply to another.
        """
        self.delay = 0.0
        self.loses_everything = False
        self.replies_flow.set()
        for connection in self._connections:
            if connection.has_lost_something:
                connection.cut()
        self._listen()

    async def __aenter__(self) -> Self:
        self._listener = _bound(0)
        self.port = self._listener.getsockname()[1]
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._deafen()
        self.drop()
        tasks = [connection.task for connection in self._connections]
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    def _listen(self) -> None:
        self._listener.listen()
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _deafen(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):  # it went before it was taken
            accepted, _ = self._listener.accept()
            connection = _Connection(self, accepted)
            self._connections.add(connection)
            connection.task.add_done_callback(lambda _: self._connections.discard(connection))


class _HungUp(Exception):
    """One end has hung up, and everything that it sent before was delivered."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction of a connection: its two ends, and the traffic in flight.

    Each chunk has the loop's time at which it is due; an empty one means a hang-up.
    """

    source: asyncio.StreamReader
    target: asyncio.StreamWriter
    under_way: asyncio.Queue[tuple[float, bytes]] = field(default_factory=asyncio.Queue)


class _Connection:
    """A client's connection, with its connection to the server."""

    def __init__(self, proxy: TcpProxy, accepted: socket.socket) -> None:
        self.has_lost_something = False
        self._proxy = proxy
        self._ends: list[asyncio.StreamWriter] = []
        self._is_cut = False
        self.task = asyncio.create_task(self._carry(accepted))
        self.task.add_done_callback(lambda _: accepted.close())  # if it was cut before it began

    def cut(self) -> None:
        if not self._is_cut:
            self._is_cut = True
            self._abort()  # now: what has just come is not to slip through
            self.task.cancel()

    async def _carry(self, accepted: socket.socket) -> None:
        try:
            await self._between(await self._opened(sock=accepted))
        except* (OSError, _HungUp):
            pass
        finally:
            self._abort()
            for end in self._ends:
                with suppress(OSError):
                    await end.wait_closed()

    async def _opened(self, *address: Any, **how: Any) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*address, **how)
        self._ends.append(writer)
        return reader

    async def _between(self, requests: asyncio.StreamReader) -> None:
        if self._proxy.loses_everything:
            await self._lose(requests)
        replies = await self._opened(*self._proxy.target)
        client, server = self._ends
        at_once = asyncio.Event()
        at_once.set()
        async with asyncio.TaskGroup() as group:
            for way, flow in (
                (_Way(requests, server), at_once),
                (_Way(replies, client), self._proxy.replies_flow),
            ):
                group.create_task(self._take(way))
                group.create_task(_give(way, flow))

    async def _lose(self, requests: asyncio.StreamReader) -> None:
        self.has_lost_something = True
        while await requests.read(65_536):
            pass
        raise _HungUp

    async def _take(self, way: _Way) -> None:
        """Put incoming chunks, and a hang-up, on their way, or lose them."""
        clock = asyncio.get_running_loop().time
        chunk = b"at first"
        while chunk:
            chunk = await _read(way.source)
            if self._proxy.loses_everything:
                self.has_lost_something = True
            else:
                way.under_way.put_nowait((clock() + self._proxy.delay, chunk))

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()


async def _read(source: asyncio.StreamReader) -> bytes:
    try:
        return await source.read(65_536)
    except OSError:
        return b""


async def _give(way: _Way, flow: asyncio.Event) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        due, chunk = await way.under_way.get()
        await asyncio.sleep(due - clock())
        await flow.wait()
        if not chunk:
            raise _HungUp
        way.target.write(chunk)
        await way.target.drain()


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    listener.bind((_HOST, port))
    return listener
