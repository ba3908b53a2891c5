"""Who goes first, where callers wait at several workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis

from callguard import Gate, Lane, RedisLedger
from callguard.ledger.redis import wire
from tests.shared.provider import provider
from tests.shared.support import Callers, contents, eventually, sharing

LANES = Lane("urgent", priority=0), Lane("default", priority=1, default=True)


@pytest.fixture(autouse=True)
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is passed over for coming late, which depends on how busy the machine is."""
    monkeypatch.setattr(wire, "PATIENCE", 60.0)


class Arena:
    """Gates on one ledger, with slots that the test gives back one by one."""

    def __init__(self, gates: list[Gate], client: Redis, workspace: str) -> None:
        self.crowds = [Callers(gate) for gate in gates]
        self._client = client
        self._workspace = workspace
        self._given_back: set[str] = set()

    async def line_up(self, worker: int, number: int, lane: str | None = None) -> None:
        """Send callers to a worker, and wait until the ledger knows of them."""
        before = len((await contents(self._client, self._workspace)).claims)
        self.crowds[worker].send(number, lane)
        await eventually(lambda: self._claims_are(before + 1))

    async def next(self) -> int:
        """Give one slot back. Returns at which worker it is used."""
        before = self.counts
        held = (permit for crowd in self.crowds for permit in crowd.arrived)
        permit = next(permit for permit in held if permit.id not in self._given_back)
        self._given_back.add(permit.id)
        permit.cancel()
        await eventually(lambda: sum(self.counts) > sum(before))
        (winner,) = (at for at, count in enumerate(self.counts) if count > before[at])
        return winner

    @property
    def counts(self) -> list[int]:
        """How many have been admitted at each worker."""
        return [len(crowd.arrived) for crowd in self.crowds]

    async def _claims_are(self, number: int) -> bool:
        return len((await contents(self._client, self._workspace)).claims) == number


@asynccontextmanager
async def _arena(redis_url: str, name: str, workers: int, limit: int) -> AsyncIterator[Arena]:
    """All slots are held at worker 0."""
    async with (
        provider(limit) as workspace,
        RedisLedger.from_url(redis_url, name=name, lease=60.0) as ledger,
        Redis.from_url(redis_url) as client,
        AsyncExitStack() as stack,
    ):
        gates = [
            await stack.enter_async_context(sharing(workspace, ledger, lanes=LANES))
            for _ in range(workers)
        ]
        arena = Arena(gates, client, name)
        arena.crowds[0].send(limit)
        await arena.crowds[0].have_arrived(limit)
        yield arena
        for crowd in arena.crowds:
            await crowd.go()


async def test_a_higher_lane_goes_first_wherever_its_callers_are(
    redis_url: str, workspace_key: str
) -> None:
    """A call that can't wait would wait behind those that can, because another worker has them."""
    async with _arena(redis_url, workspace_key, workers=2, limit=1) as arena:
        await arena.line_up(0, 3, "default")
        await arena.line_up(1, 2, "urgent")
        assert [await arena.next() for _ in range(5)] == [1, 1, 0, 0, 0]


async def test_workers_that_want_the_same_get_the_same(redis_url: str, workspace_key: str) -> None:
    """One worker would dial, and the others look on."""
    async with _arena(redis_url, workspace_key, workers=2, limit=4) as arena:
        held = arena.counts[0]
        await arena.line_up(0, 30)
        await arena.line_up(1, 30)
        for _ in range(40):
            await arena.next()
            assert abs(arena.counts[0] - held - arena.counts[1]) <= 1


async def test_a_few_callers_are_not_kept_waiting_by_the_many_of_others(
    redis_url: str, workspace_key: str
) -> None:
    """A worker with few calls would starve beside one with many.

    Workers take turns, so a caller that has `ahead` others before it at its own worker is served
    within ``(ahead + 1) * workers`` admissions.
    """
    workers, few = 3, 3
    async with _arena(redis_url, workspace_key, workers, limit=1) as arena:
        await arena.line_up(0, 50)
        await arena.line_up(1, 50)
        for _ in range(5):
            await arena.next()
        await arena.line_up(2, few)
        served = [await arena.next() for _ in range(few * workers)]
        places = [place for place, worker in enumerate(served, start=1) if worker == 2]
        assert len(places) == few
        for ahead, place in enumerate(places):
            assert place <= (ahead + 1) * workers
