"""Whether the ledger's server may throw away what it keeps, as a cache does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callguard.ledger.redis.connection import Connection

__all__ = ["eviction_policy"]


async def eviction_policy(connection: Connection) -> str | None:
    """The policy by which the server evicts keys once its memory is full; None where it doesn't.

    Every key of a ledger expires at some time, so the ``volatile-`` policies evict it too.
    Cancelling leaves nothing behind.

    Raises:
        Exception: what the client raises where the server doesn't say.
    """
    found: Mapping[str, Any] = await connection.info("memory")
    nodes = [found] if "maxmemory" in found else list(found.values())
    for node in nodes:
        if node.get("maxmemory") and node.get("maxmemory_policy", "noeviction") != "noeviction":
            return str(node["maxmemory_policy"])
    return None
