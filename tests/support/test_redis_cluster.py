"""The cluster that tests start takes what a cluster takes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis
from redis.asyncio.cluster import RedisCluster

from callguard.testing import RedisServer

_SET_BOTH = "redis.call('SET', KEYS[1], 1) redis.call('SET', KEYS[2], 2)"


async def test_keys_of_one_hash_tag(redis_cluster: Sequence[RedisServer]) -> None:
    """A cluster would not take keys, or would take in one script what a cluster doesn't."""
    async with RedisCluster.from_url(redis_cluster[0].url) as client:
        for tag in "abcdef":
            await client.eval(_SET_BOTH, 2, f"{{{tag}}}:1", f"{{{tag}}}:2")
            assert await client.get(f"{{{tag}}}:2") == b"2"
    with redis.Redis.from_url(redis_cluster[0].url) as node:
        with pytest.raises(redis.ResponseError, match="same slot"):
            node.eval(_SET_BOTH, 2, "{a}:1", "{b}:1")
