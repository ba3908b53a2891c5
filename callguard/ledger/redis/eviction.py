"""Whether the ledger's server may throw away what it keeps, as a cache does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callguard.ledger.redis.faults import FAULTS

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

__all__ = ["eviction_policy"]


async def eviction_policy(client: Redis | RedisCluster) -> str | None:
    """The policy by which the server evicts keys once its memory is full; None where it doesn't.

    Every key of a ledger expires at some time, so the ``volatile-`` policies evict them too. A
    server that doesn't say is taken for one that evicts nothing. Cancelling leaves nothing behind.
    """
    try:
        found: Mapping[str, Any] = await client.info("memory")
    except FAULTS:
        return None
    nodes = [found] if "maxmemory" in found else list(found.values())
    for node in nodes:
        if node.get("maxmemory") and node.get("maxmemory_policy", "noeviction") != "noeviction":
            return str(node["maxmemory_policy"])
    return None
