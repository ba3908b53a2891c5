"""Gates that share contents on a real server, and a look into that ledger."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from inspect import isawaitable
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from callguard import Gate, Permit, RedisLedger, open_gate
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.scripts import HOLDERS
from tests.shared.provider import Provider

PATIENCE = 30.0
"""Seconds to wait for what happens within one on a machine that has nothing else to do."""

SLACK = 10.0
"""Seconds that a busy machine may take for what takes some milliseconds."""

LEASE, TIMEOUT = 3.0, 1.0
"""Seconds: longer than a busy machine stands still, or leases would run out in tests that are about
something else; and short to wait for."""

TTL = 0.2

TIMES: dict[str, Any] = {
    "ttl": TTL,
    "min_interval": 0.05,
    "ring_limit": 0.2,
    "counter_lag": 0.2,
    "max_age": 15.0,
}
"""For `open_gate`: readings five times a second, and calls that are seen after 0.4 s."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the server has of one workspace.

    Attributes:
        dialling: the permits whose dial has not returned.
        uncounted: the placed calls that the latest snapshot may have missed.
        workers: who has a lease.
        labelled: who is known by name.
        claims: the queues in which callers wait, as ``worker/lane``.
        reported: what the latest snapshot counts.
    """

    dialling: frozenset[str]
    uncounted: frozenset[str]
    workers: frozenset[str]
    labelled: frozenset[str]
    claims: frozenset[str]
    reported: int

    @property
    def held(self) -> tuple[int, int]:
        """How many permits are dialling, and how many are placed and uncounted."""
        return len(self.dialling), len(self.uncounted)

    @property
    def usage(self) -> int:
        """What the server counts."""
        return self.reported + sum(self.held)


async def contents(client: Redis | RedisCluster, workspace: str) -> Contents:
    """The ledger of `workspace` as it is at one moment, between two exchanges."""
    found = json.loads(await HOLDERS.run(client, Names(workspace).keys))
    placed = frozenset(_members(found["uncounted"]))
    dialled = frozenset(found["dialling"])
    assert not dialled & placed, "a placed call is dialling still"
    return Contents(
        dialling=dialled,
        uncounted=placed,
        workers=frozenset(_members(found["workers"])),
        labelled=frozenset(_members(found["sessions"])),
        claims=frozenset(_members(found["claims"])),
        reported=int(_values(found["ledger"]).get("current", 0)),
    )


def _members(flat: Sequence[str]) -> Iterator[str]:
    """The fields of a hash, or the members of a sorted set, each followed by its value."""
    return islice(flat, 0, None, 2)


def _values(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


@asynccontextmanager
async def sharing(
    provider: Provider, ledger: RedisLedger, key: str = "key_here", **arguments: Any
) -> AsyncIterator[Gate]:
    """A gate in this process, on a shared ledger."""
    settings = {"cps": None, **TIMES, **arguments}
    async with open_gate(key, base_url=provider.url, ledger=ledger, **settings) as gate:
        yield gate


async def eventually(holds: Callable[[], object | Awaitable[object]]) -> float:
    """Wait until something holds; returns after how many seconds it did."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        found = holds()
        if await found if isawaitable(found) else found:
            return loop.time() - began
        assert loop.time() < began + PATIENCE, f"it never held: {holds}"
        await asyncio.sleep(0.01)


class Callers:
    """Callers at one gate that hold what they get until the test says what became of it.

    Attributes:
        arrived: the permits, in the order in which they were given.
        arrived_at: when, on the event loop's clock.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._tasks: list[asyncio.Task[None]] = []
        self._let_go = asyncio.Event()
        self.arrived: list[Permit] = []
        self.arrived_at: list[float] = []

    def send(self, number: int, lane: str | None = None) -> None:
        """Send callers into the queue."""
        self._tasks += [asyncio.create_task(self._visit(lane)) for _ in range(number)]

    async def have_arrived(self, number: int) -> list[Permit]:
        """The permits, as soon as there are so many."""
        await eventually(lambda: len(self.arrived) >= number)
        return self.arrived

    async def go(self) -> None:
        """End all, queued ones too; those that have not said otherwise have placed a call."""
        self._let_go.set()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _visit(self, lane: str | None) -> None:
        async with self._gate.admit(lane) as permit:
            self.arrived.append(permit)
            self.arrived_at.append(asyncio.get_running_loop().time())
            await self._let_go.wait()
