"""What a user would pick in the place of a shared ledger on Redis, each entered in the same way."""

from __future__ import annotations

import asyncio
import importlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis

import callguard
from callguard.testing import RedisServer
from tests.benchmarks.tables import versions
from tests.support.programs import let_one_in, open_shared

__all__ = ["RAW", "SHARED_PEERS", "SHARED_TRIALS", "Backend", "SharedPeer", "present"]

TTL = 1.0
"""Seconds for which a slot is held without a word, where a peer wants to know; in trials."""

ATTEMPTS = 5

A_MOMENT, PATIENCE = 0.05, 0.5
"""Seconds for a command to get to a server here, and for what takes ten times as long at most."""

LONG = 3.0
"""How many times as long a slot is held then."""

CONNECTIONS = 50
"""More make raw commands slower."""

Enter = Callable[[], AbstractAsyncContextManager[object]]


@dataclass(frozen=True)
class Backend:
    """A server's address, and a name there that nobody else has, unless it is told."""

    url: str
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class SharedPeer:
    """One of those that are compared.

    Attributes:
        opened: one worker's; from the ledger, the slots, and the seconds for which one is held
            without a word, to what is entered once for each admission.
        distribution: where it comes from; None for ourselves.
        holds: whether it knows who holds a slot; else it only counts admissions, or nothing.
        slots: how many it can have; None for any number.
    """

    opened: Callable[[Backend, int, float], AbstractAsyncContextManager[Enter]]
    distribution: str | None
    holds: bool = True
    slots: int | None = None


@asynccontextmanager
async def _gate(backend: Backend, limit: int, ttl: float) -> AsyncIterator[Enter]:
    timeout = min(2.0, 0.4 * ttl)
    async with (
        callguard.RedisLedger.from_url(
            backend.url, name=backend.name, lease=ttl, timeout=timeout
        ) as ledger,
        open_shared(ledger, "key_bench", limit) as gate,
    ):
        await let_one_in(gate)

        @asynccontextmanager
        async def enter() -> AsyncIterator[None]:
            async with gate.admit() as permit:
                try:
                    yield
                finally:
                    permit.cancel()

        yield enter


@asynccontextmanager
async def _lock(backend: Backend, _limit: int, ttl: float) -> AsyncIterator[Enter]:
    async with _client(backend.url) as client:
        yield lambda: client.lock(backend.name, timeout=ttl, sleep=0.01)


@asynccontextmanager
async def _rate_limiters(backend: Backend, limit: int, ttl: float) -> AsyncIterator[Enter]:
    module = importlib.import_module("async_redis_rate_limiters")
    manager = module.DistributedSemaphoreManager(
        namespace=backend.name, redis_url=backend.url, redis_ttl=max(1, round(ttl))
    )
    try:
        yield lambda: manager.get_semaphore("bench", limit)
    finally:
        await _close_clients(manager)


async def _close_clients(manager: Any) -> None:
    """It has no way of its own to be closed."""
    for value in vars(manager).values():
        if isinstance(value, Redis):
            await value.aclose(close_connection_pool=True)


@asynccontextmanager
async def _limits(backend: Backend, limit: int, ttl: float) -> AsyncIterator[Enter]:
    storages = importlib.import_module("limits.aio.storage")
    strategies = importlib.import_module("limits.aio.strategies")
    items = importlib.import_module("limits")
    storage = storages.RedisStorage(
        f"async+{backend.url}", implementation="redispy", key_prefix=backend.name
    )
    limiter = strategies.MovingWindowRateLimiter(storage)
    item = items.RateLimitItemPerSecond(limit, max(1, round(ttl)))

    @asynccontextmanager
    async def enter() -> AsyncIterator[None]:
        while not await limiter.hit(item, "bench"):  # noqa: ASYNC110 - it can't be waited for
            await asyncio.sleep(0.01)
        yield

    try:
        yield enter
    finally:
        await storage.bridge.storage.aclose(close_connection_pool=True)


@asynccontextmanager
async def _raw(backend: Backend, _limit: int, _ttl: float) -> AsyncIterator[Enter]:
    async with _client(backend.url) as client:
        digest = await client.script_load("return 1")

        @asynccontextmanager
        async def enter() -> AsyncIterator[None]:
            await client.evalsha(digest, 0)
            yield

        yield enter


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Redis]:
    pool = BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=None)
    async with Redis.from_pool(pool) as client:
        yield client


RAW = "raw EVALSHA of return 1"

SHARED_PEERS: Mapping[str, SharedPeer] = {
    "callguard": SharedPeer(_gate, None),
    RAW: SharedPeer(_raw, "redis", holds=False),
    "redis-py Lock": SharedPeer(_lock, "redis", slots=1),
    "async-redis-rate-limiters": SharedPeer(_rate_limiters, "async-redis-rate-limiters"),
    "limits, moving window": SharedPeer(_limits, "limits", holds=False),
}


def present() -> dict[str, SharedPeer]:
    """The peers that are installed."""
    found = versions(peer.distribution for peer in SHARED_PEERS.values() if peer.distribution)
    return {
        name: peer
        for name, peer in SHARED_PEERS.items()
        if peer.distribution is None or found[peer.distribution]
    }


async def held_for_long(server: RedisServer, peer: SharedPeer) -> str:
    """One worker holds every slot for longer than a word is due; how many get in at another?"""
    slots = peer.slots or 2
    backend = Backend(server.url)
    async with (
        peer.opened(backend, slots, TTL) as enter,
        peer.opened(backend, slots, TTL) as enter_elsewhere,
        Visits() as visits,
    ):
        for _ in range(slots):
            visits.send(enter)
        await asyncio.sleep(PATIENCE)
        for _ in range(slots):
            visits.send(enter_elsewhere)
        await asyncio.sleep(LONG * TTL)
        return f"{visits.inside} of {slots} in"


async def cancelled_on_the_way(server: RedisServer, peer: SharedPeer) -> str:
    """Who enters gives up before a slow server answers; how often is the slot gone?"""
    gone = swallowed = 0
    for _ in range(ATTEMPTS):
        async with peer.opened(Backend(server.url), 1, 60.0) as enter:
            async with enter():  # which makes the connections
                pass
            async with Visits() as visits:
                server.pause()
                visits.send(enter)
                await asyncio.sleep(A_MOMENT)
                visits.cancel()
                await asyncio.sleep(A_MOMENT)
                server.resume()
                await asyncio.sleep(PATIENCE)
                swallowed += visits.left
            async with Visits() as visits:
                visits.send(enter)
                await asyncio.sleep(PATIENCE)
                gone += not visits.inside
    went_on = f", {swallowed} of {ATTEMPTS} cancellations swallowed" if swallowed else ""
    return f"{gone} of {ATTEMPTS} slots gone{went_on}"


class Visits:
    """Callers that stay inside until they are cancelled.

    Attributes:
        inside: how many are in.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.inside = 0

    def send(self, enter: Enter) -> None:
        """One more comes."""
        self._tasks.add(asyncio.create_task(self._stay(enter)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        while self.left:
            self.cancel()  # again, for those who have not heard
            await asyncio.wait(self._tasks, timeout=PATIENCE)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def left(self) -> int:
        """How many are inside or on their way."""
        return sum(not task.done() for task in self._tasks)

    def cancel(self) -> None:
        """Cancel them all."""
        for task in self._tasks:
            task.cancel()

    async def _stay(self, enter: Enter) -> None:
        async with enter():
            self.inside += 1
            await asyncio.get_running_loop().create_future()


SHARED_TRIALS = {
    f"held for {LONG * TTL:g} s, where a word is due each {TTL:g} s": held_for_long,
    "cancelled while the server is asked": cancelled_on_the_way,
}
