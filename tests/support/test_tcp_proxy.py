"""The network that fails does so as it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callguard.testing import RedisServer
from tests.support.tcp_proxy import TcpProxy
from tests.support.virtual_time import jumping

PING, PONG = b"PING\r\n", b"+PONG\r\n"


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        yield proxy
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, command: bytes = PING) -> None:
        self._writer.write(command)

    async def reply(self) -> bytes:
        """What comes next; empty if the connection was cut."""
        async with asyncio.timeout(5):
            return await self._reader.read(100)

    async def hears_nothing(self) -> bool:
        try:
            async with asyncio.timeout(0.05):
                await self._reader.read(100)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def connected(proxy: TcpProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_without_a_fault(proxy: TcpProxy) -> None:
    """A test would see faults of the proxy that it did not ask for."""
    async with connected(proxy) as client:
        for _ in range(3):
            client.send()
            assert await client.reply() == PONG
        client.send(b"QUIT\r\n")
        assert (await client.reply(), await client.reply()) == (b"+OK\r\n", b"")
    assert proxy.url("/0") == f"redis://127.0.0.1:{proxy.port}/0"


@jumping
async def test_delay() -> None:
    """A slow network would not be slow, or ever slower the more is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(PONG)
        writer.close()

    clock = asyncio.get_running_loop().time
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as server,
        TcpProxy(*server.sockets[0].getsockname()) as proxy,
        connected(proxy) as client,
    ):
        proxy.delay = 0.2
        began = clock()
        for _ in range(10):
            client.send()
            await asyncio.sleep(0.002)
        answer = b""
        while answer != 10 * PONG:
            answer += await client.reply()
        assert 0.4 <= clock() - began < 0.45, "and not 4 s, one delay after the other"
        proxy.heal()
        healed_at = clock()
        client.send()
        assert await client.reply() == PONG
        assert clock() == healed_at


async def test_drop(proxy: TcpProxy) -> None:
    """A cut would leave old connections, or keep new ones out."""
    async with connected(proxy) as client, connected(proxy) as other:
        client.send()
        assert await client.reply() == PONG
        proxy.drop()
        assert (await client.reply(), await other.reply()) == (b"", b"")
        async with connected(proxy) as newcomer:
            newcomer.send()
            assert await newcomer.reply() == PONG


async def test_refuse(proxy: TcpProxy) -> None:
    """A refusal would let newcomers in, cut those who are there, or never end."""
    async with connected(proxy) as client:
        client.send()
        assert await client.reply() == PONG
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        client.send()
        assert await client.reply() == PONG
    proxy.heal()
    async with connected(proxy) as newcomer:
        newcomer.send()
        assert await newcomer.reply() == PONG


async def test_half_open(proxy: TcpProxy, own_redis: RedisServer) -> None:
    """A dead connection would answer, be seen to be dead, or answer the wrong request later."""
    async with connected(proxy) as client:
        client.send()
        assert await client.reply() == PONG
        proxy.half_open()
        async with connected(proxy) as newcomer:
            own_redis.restart()
            for each in (client, newcomer):
                each.send()
                assert await each.hears_nothing()
            proxy.heal()
            assert (await client.reply(), await newcomer.reply()) == (b"", b"")


async def test_half_open_spares_who_sent_nothing(proxy: TcpProxy) -> None:
    """A connection that lost nothing would be cut."""
    async with connected(proxy) as client:
        client.send()
        assert await client.reply() == PONG
        proxy.half_open()
        proxy.heal()
        client.send()
        assert await client.reply() == PONG


async def test_hold_replies(proxy: TcpProxy) -> None:
    """Commands that ran without anybody hearing of it could not be had."""
    async with connected(proxy) as client, connected(proxy) as other:
        proxy.hold_replies()
        client.send(b"SET key value\r\n")
        assert await client.hears_nothing()
        proxy.heal()
        assert await client.reply() == b"+OK\r\n"
        other.send(b"GET key\r\n")
        assert await other.reply() == b"$5\r\nvalue\r\n"


async def test_a_server_that_is_away(proxy: TcpProxy, own_redis: RedisServer) -> None:
    """A client would wait for a server behind the proxy that isn't there."""
    async with connected(proxy) as client:
        client.send()
        assert await client.reply() == PONG
        own_redis.kill()
        assert await client.reply() == b""
        async with connected(proxy) as newcomer:
            assert await newcomer.reply() == b""


async def test_nothing_is_left_behind(own_redis: RedisServer) -> None:
    """Tests would leak the connections that they forgot to close."""
    async with TcpProxy("127.0.0.1", own_redis.port) as proxy:
        async with connected(proxy) as client:
            client.send()
            assert await client.reply() == PONG
            proxy.delay = 60
            client.send()
            await asyncio.sleep(0.01)
            assert proxy.connections == 1
    assert proxy.connections == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
