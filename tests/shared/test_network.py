"""A network between a worker and the ledger that is slow, breaks, or loses what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from callguard import Gate, LedgerUnavailable, NoHeadroom, RedisLedger
from tests.shared.provider import Provider, provider
from tests.shared.support import SLACK, Callers, contents, eventually, sharing
from tests.support.tcp_proxy import TcpProxy

LIMIT = 5

TIMEOUT = 0.4
"""Seconds: a server that doesn't answer is waited for; one that is late is asked again."""


@dataclass(frozen=True, slots=True)
class World:
    """Two workers, of which one reaches the ledger by a network that fails."""

    workspace: Provider
    name: str
    proxy: TcpProxy
    client: Redis
    far: Gate
    near: Gate

    async def held(self) -> frozenset[str]:
        """The permits that the ledger has as being dialled; none is placed here."""
        found = await contents(self.client, self.name)
        assert found.uncounted == frozenset()
        return found.dialling


@pytest.fixture
async def world(redis_url: str, workspace_key: str) -> AsyncIterator[World]:
    async with _world(redis_url, workspace_key) as made:
        yield made


@asynccontextmanager
async def _world(redis_url: str, name: str, timeout: float = TIMEOUT) -> AsyncIterator[World]:
    address = urlsplit(redis_url)
    async with (
        provider(LIMIT) as workspace,
        TcpProxy(address.hostname or "", address.port or 6379) as proxy,
        # A lease that no fault outlasts: what is held stays held.
        RedisLedger.from_url(proxy.url(), name=name, lease=60.0, timeout=timeout) as over_it,
        RedisLedger.from_url(redis_url, name=name, lease=60.0) as past_it,
        Redis.from_url(redis_url) as client,
        sharing(workspace, over_it) as far,
        sharing(workspace, past_it) as near,
    ):
        yield World(workspace, name, proxy, client, far, near)


async def test_a_slow_network_costs_time_and_nothing_else(
    redis_url: str, workspace_key: str
) -> None:
    """Two workers would get one slot while what they say is under way."""
    async with _world(redis_url, workspace_key, timeout=5.0) as world:
        world.proxy.delay = 0.05
        crowds = Callers(world.far), Callers(world.near)
        given_back: set[str] = set()
        for crowd in crowds:
            crowd.send(2 * LIMIT)
        for round_ in range(1, 5):
            await eventually(lambda: _arrived(crowds) == LIMIT * round_)  # noqa: B023
            arrived = {permit.id: permit for crowd in crowds for permit in crowd.arrived}
            assert await world.held() == arrived.keys() - given_back
            for permit in arrived.values():
                permit.cancel()
            given_back |= arrived.keys()
        for crowd in crowds:
            await crowd.go()


async def test_connections_that_break_again_and_again_lose_and_double_nothing(
    world: World,
) -> None:
    """What was said on a broken connection would be forgotten, or be said twice."""
    going = 0
    most = 0

    async def call(gate: Gate) -> None:
        nonlocal going, most
        async with gate.admit() as permit:
            going += 1
            most = max(most, going)
            await asyncio.sleep(0.005)
            going -= 1
            permit.cancel()

    calls = {
        gate: [asyncio.create_task(call(gate)) for _ in range(100)]
        for gate in (world.far, world.near)
    }
    while left := _going_on(calls[world.far]):
        world.proxy.drop()
        await asyncio.sleep(0.03)
        # Or a machine on which it takes longer to connect would never come to an end.
        await eventually(lambda: _going_on(calls[world.far]) < left)
    await asyncio.gather(*calls[world.far], *calls[world.near])
    assert 1 <= most <= LIMIT
    await eventually(lambda: _holds(world, set()))
    callers = Callers(world.far)
    callers.send(LIMIT)
    await callers.have_arrived(LIMIT)
    assert await world.held() == {permit.id for permit in callers.arrived}
    await callers.go()


async def test_a_dead_connection_is_noticed_in_time_and_waiters_go_on_when_it_heals(
    world: World,
) -> None:
    """A caller that can't wait would, or one that can would wait for ever."""
    holding = Callers(world.far)
    holding.send(LIMIT)
    await holding.have_arrived(LIMIT)
    waiting = Callers(world.far)
    waiting.send(1)
    world.proxy.half_open()
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    with pytest.raises(LedgerUnavailable):
        async with world.far.try_admit():
            pass
    assert loop.time() - asked_at < TIMEOUT + SLACK
    with pytest.raises(NoHeadroom):
        async with world.near.try_admit():
            pass
    holding.arrived[0].cancel()
    assert not waiting.arrived
    world.proxy.heal()
    await waiting.have_arrived(1)
    still = {permit.id for permit in (*holding.arrived[1:], *waiting.arrived)}
    await eventually(lambda: _holds(world, still))
    for crowd in (holding, waiting):
        await crowd.go()


async def test_slots_that_were_given_and_never_heard_of_go_back(world: World) -> None:
    """An answer that is lost would take slots with it, or give them to two."""
    async with world.far.admit() as permit:  # so that it knows the latest snapshot
        permit.cancel()
    await eventually(lambda: _holds(world, set()))
    world.proxy.hold_replies()
    callers = Callers(world.far)
    callers.send(3)
    await eventually(lambda: _number_held(world, 3))
    lost = await world.held()
    with suppress(LedgerUnavailable):
        async with world.far.try_admit():
            pass
    assert not callers.arrived
    world.proxy.heal()
    await callers.have_arrived(3)
    known = {permit.id for permit in callers.arrived}
    await eventually(lambda: _holds(world, known))
    assert not lost & known
    others = Callers(world.near)
    others.send(LIMIT)
    await others.have_arrived(LIMIT - 3)
    assert len(await world.held()) == LIMIT
    for crowd in (callers, others):
        await crowd.go()


def _going_on(calls: Sequence[asyncio.Task[None]]) -> int:
    return sum(not call.done() for call in calls)


def _arrived(crowds: tuple[Callers, ...]) -> int:
    return sum(len(crowd.arrived) for crowd in crowds)


async def _holds(world: World, permits: set[str]) -> bool:
    return await world.held() == permits


async def _number_held(world: World, number: int) -> bool:
    return len(await world.held()) == number
