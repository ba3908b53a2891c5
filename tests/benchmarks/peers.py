"""What a user would pick in the place of a gate, each behind the same few methods.

A peer that isn't installed is left out; the extra ``bench`` has them all.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import callguard
from tests.benchmarks.tables import versions
from tests.support.fake_network import FakeSession, limits_reply

__all__ = ["OURS", "PEERS", "SEMAPHORE", "Limiter", "Peer", "present"]

Body = Callable[[], Awaitable[None]]

logging.getLogger("aioresilience").setLevel(logging.ERROR)  # it warns at each refusal


class Limiter(Protocol):
    """What holds some slots."""

    async def pass_through(self, times: int) -> None:
        """Enter and leave so often, one after the other, with room."""

    async def visit(self, body: Body) -> None:
        """Enter, wait for `body`, leave, and give the slot back."""

    async def set_limit(self, limit: int) -> None:
        """Have so many slots from now on.

        Raises:
            NotImplementedError: the number is fixed.
        """


@dataclass(frozen=True)
class Peer:
    """One of those that are compared.

    Attributes:
        opened: makes a limiter, given its slots and how many callers may come at once.
        distribution: where it comes from; None for the standard library and for ourselves.
        queues: whether callers wait in it; else it takes them one after the other itself.
    """

    opened: Callable[[int, int], AbstractAsyncContextManager[Limiter]]
    distribution: str | None = None
    queues: bool = True


class _Entered:
    """One that is entered by ``async with``."""

    def __init__(self, limiter: Any) -> None:
        self._limiter = limiter

    async def pass_through(self, times: int) -> None:
        limiter = self._limiter
        for _ in range(times):
            async with limiter:
                pass

    async def visit(self, body: Body) -> None:
        async with self._limiter:
            await body()

    async def set_limit(self, limit: int) -> None:
        raise NotImplementedError


class _Adjustable(_Entered):
    """anyio's `CapacityLimiter`."""

    async def set_limit(self, limit: int) -> None:
        self._limiter.total_tokens = limit


class _Wrapping:
    """One that wraps a coroutine function."""

    def __init__(self, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._nothing = wrap(_nothing)
        self._visit = wrap(_call)

    async def pass_through(self, times: int) -> None:
        nothing = self._nothing
        for _ in range(times):
            await nothing()

    async def visit(self, body: Body) -> None:
        await self._visit(body)

    async def set_limit(self, limit: int) -> None:
        raise NotImplementedError


async def _nothing() -> None:
    pass


async def _call(body: Body) -> None:
    await body()


class _Gated:
    """A gate, and the provider's word on its limit."""

    def __init__(self, gate: callguard.Gate, provider: _Provider) -> None:
        self._gate = gate
        self._provider = provider

    async def pass_through(self, times: int) -> None:
        gate = self._gate
        for _ in range(times):
            async with gate:
                pass

    async def visit(self, body: Body) -> None:
        async with self._gate.admit() as permit:
            try:
                await body()
            finally:
                permit.cancel()

    async def set_limit(self, limit: int) -> None:
        """The gate learns of it by its next reading, while somebody waits."""
        self._provider.limit = limit
        await asyncio.sleep(2 * TTL)


@dataclass
class _Provider:
    limit: int


TTL = 3600.0
"""Seconds between two readings: none comes while anything is measured."""


@asynccontextmanager
async def _gate(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    """A gate as a user opens it, but for the network."""
    provider = _Provider(limit)
    session = FakeSession(lambda *_: limits_reply(0, provider.limit))
    async with callguard.open_gate(
        "key_bench", session=session, ttl=TTL, max_age=10 * TTL, cps=None
    ) as gate:
        yield _Gated(gate, provider)


@asynccontextmanager
async def _semaphore(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    yield _Entered(asyncio.Semaphore(limit))


@asynccontextmanager
async def _anyio_limiter(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    yield _Adjustable(_module("anyio").CapacityLimiter(limit))


@asynccontextmanager
async def _anyio_semaphore(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    yield _Entered(_module("anyio").Semaphore(limit))


@asynccontextmanager
async def _hyx(limit: int, callers: int) -> AsyncIterator[Limiter]:
    yield _Entered(_module("hyx.bulkhead").bulkhead(limit, max(limit, callers)))


@asynccontextmanager
async def _aioresilience(limit: int, callers: int) -> AsyncIterator[Limiter]:
    yield _Entered(_aioresilience_bulkhead(limit, callers))


@asynccontextmanager
async def _aioresilience_wrapping(limit: int, callers: int) -> AsyncIterator[Limiter]:
    wrap = _module("aioresilience.bulkhead").with_bulkhead
    yield _Wrapping(wrap(_aioresilience_bulkhead(limit, callers)))


def _aioresilience_bulkhead(limit: int, callers: int) -> Any:
    config = _module("aioresilience.config").BulkheadConfig(limit, max_waiting=callers)
    return _module("aioresilience.bulkhead").Bulkhead(config=config)


@asynccontextmanager
async def _pyresilience(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    # It waits for as long as it is told, or not at all.
    config = _module("pyresilience").BulkheadConfig(max_concurrent=limit, max_wait=1e5)
    yield _Wrapping(_module("pyresilience").resilient(bulkhead=config))


class _Metered:
    """aiometer, which is given the callers rather than entered by them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def pass_through(self, times: int) -> None:
        await self.run_all(_nothing, times)

    async def run_all(self, body: Body, times: int) -> None:
        """Run `body` so often."""
        run = _module("aiometer").run_on_each
        await run(_call, [body] * times, max_at_once=self._limit)

    async def visit(self, body: Body) -> None:
        raise NotImplementedError

    async def set_limit(self, limit: int) -> None:
        raise NotImplementedError


@asynccontextmanager
async def _aiometer(limit: int, _callers: int) -> AsyncIterator[Limiter]:
    yield _Metered(limit)


def _module(name: str) -> Any:
    return importlib.import_module(name)


OURS = "callguard"
SEMAPHORE = "asyncio.Semaphore"

PEERS: Mapping[str, Peer] = {
    OURS: Peer(_gate),
    SEMAPHORE: Peer(_semaphore),
    "anyio.CapacityLimiter": Peer(_anyio_limiter, "anyio"),
    "anyio.Semaphore": Peer(_anyio_semaphore, "anyio"),
    "hyx bulkhead": Peer(_hyx, "hyx"),
    "aioresilience, entered": Peer(_aioresilience, "aioresilience"),
    "aioresilience, wrapping": Peer(_aioresilience_wrapping, "aioresilience"),
    "pyresilience": Peer(_pyresilience, "pyresilience"),
    "aiometer": Peer(_aiometer, "aiometer", queues=False),
}


def present() -> dict[str, Peer]:
    """The peers that are installed."""
    found = versions(peer.distribution for peer in PEERS.values() if peer.distribution)
    return {
        name: peer
        for name, peer in PEERS.items()
        if peer.distribution is None or found[peer.distribution]
    }
