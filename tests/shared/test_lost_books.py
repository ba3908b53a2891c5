"""Nobody gets in on books that have forgotten calls which may be dialled still."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.cli.redis_server import RedisServer
from tests.shared.provider import provider
from tests.shared.support import PATIENCE, TIMEOUT, sharing
from tests.tcp_proxy import TcpProxy

LEASE = 2.0


async def test_a_worker_that_is_cut_off_as_the_books_are_lost_may_dial_until_its_lease_ends(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A call dialled on a permit that is not lost would be one too many."""
    async with (
        provider(limit=1) as workspace,
        TcpProxy("127.0.0.1", own_redis.port) as proxy,
        RedisLedger.from_url(proxy.url(), name=workspace_key, lease=LEASE, timeout=TIMEOUT) as far,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as near,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, far) as cut_off,
        sharing(workspace, near) as other,
        cut_off.admit() as permit,
    ):
        proxy.half_open()
        await client.flushall()
        async with asyncio.timeout(PATIENCE), other.admit() as second:
            lost = permit.lost
            second.cancel()
        proxy.heal()
    assert lost
