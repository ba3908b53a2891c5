"""Waiters are called when it is their turn, and find out when nobody can call them."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import SLACK, Callers, contents, eventually, sharing

pytestmark = pytest.mark.slow

TTL = 1.0


async def test_listening_resumes_after_the_connection_is_lost(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A worker would be deaf for as long as it lives, and learn late of every slot."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(own_redis.url, name=workspace_key) as ledger,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, ledger, ttl=TTL) as one,
        sharing(workspace, ledger, ttl=TTL) as other,
    ):
        await eventually(lambda: _listeners(client, 2))
        for near, far in ((one, other), (other, one)):
            holding, waiting = Callers(near), Callers(far)
            holding.send(1)
            (permit,) = await holding.have_arrived(1)
            waiting.send(1)
            await eventually(lambda: _somebody_waits(client, workspace_key))
            await client.client_kill_filter(_type="pubsub")
            permit.cancel()
            assert await eventually(lambda: waiting.arrived) < TTL + SLACK  # noqa: B023
            await eventually(lambda: _listeners(client, 2))
            waiting.arrived[0].cancel()
            for callers in (holding, waiting):
                await callers.go()


async def test_a_worker_that_can_not_listen_gets_its_slot_within_about_a_ttl(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Callers would wait for a call that never comes, though there is room."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(own_redis.url, name=workspace_key) as ledger,
        Redis.from_url(own_redis.url) as client,
    ):
        await client.acl_setuser("default", enabled=True, commands=["-subscribe"])
        async with (
            sharing(workspace, ledger, ttl=TTL) as one,
            sharing(workspace, ledger, ttl=TTL) as other,
        ):
            callers = Callers(one), Callers(other)
            callers[0].send(1)
            (permit,) = await callers[0].have_arrived(1)
            callers[1].send(1)
            await eventually(lambda: _somebody_waits(client, workspace_key))
            read = len(workspace.asked)
            await eventually(lambda: len(workspace.asked) > read)
            assert await _listeners(client, 0)
            permit.cancel()
            assert await eventually(lambda: callers[1].arrived) < TTL + SLACK
            await client.acl_setuser("default", enabled=True, commands=["+subscribe"])
            await eventually(lambda: _listeners(client, 2))
            for crowd in callers:
                await crowd.go()


async def _listeners(client: Redis, number: int) -> bool:
    return len(await client.client_list(_type="pubsub")) == number


async def _somebody_waits(client: Redis, workspace: str) -> bool:
    return bool((await contents(client, workspace)).claims)
