"""The eviction policy of the ledger's server, which may drop keys as a cache does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callguard.ledger.redis.connection import Connection

__all__ = ["eviction_policy"]


async def eviction_policy(connection: Connection) -> str | None:
    """Ask for the policy by which the server evicts keys when its memory is full; None for none.

    Every key of a ledger has an expiry, so the ``volatile-`` policies evict it too. Cancelling
    leaves nothing behind.

    Raises:
        Exception: the client's exception if the server doesn't answer.
    """
    found: Mapping[str, Any] = await connection.info("memory")
    nodes = [found] if "maxmemory" in found else list(found.values())
    for node in nodes:
        if node.get("maxmemory") and node.get("maxmemory_policy", "noeviction") != "noeviction":
            return str(node["maxmemory_policy"])
    return None
