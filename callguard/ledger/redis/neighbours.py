"""The other ledgers on a server, for people: two ledgers of one workspace don't share its limit."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from callguard.errors import LimitsMalformed
from callguard.ledger.redis.faults import FAULTS
from callguard.ledger.redis.keys import EVERY_LEDGER, Names
from callguard.limits import Limits, Snapshot

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

__all__ = ["Neighbour", "neighbours"]

_PATIENCE: Final = 0.5
"""Seconds to look for other ledgers: a server may keep millions of keys, which all are scanned."""

_AT_ONCE: Final = 1000
"""Keys that the server scans in one step, before it serves others."""

_TOGETHER: Final = 5.0
"""Seconds between two snapshots that still count as simultaneous."""

_ID: Final = re.compile(rb"callguard:\{([^}]*)\}:")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another ledger on the server.

    Attributes:
        id: the hash of its workspace or its name, as in the names of its keys.
        snapshot: its latest snapshot, dated on the server's clock; None without one.
    """

    id: str
    snapshot: Snapshot | None

    def looks_like(self, snapshot: Snapshot | None) -> bool:
        """Whether the gates of both ledgers see the same limits and count at the same time."""
        if self.snapshot is None or snapshot is None:
            return False
        apart = abs(self.snapshot.began - snapshot.began)
        return apart <= _TOGETHER and self.snapshot.limits == snapshot.limits


async def neighbours(client: Redis | RedisCluster, names: Names) -> tuple[Neighbour, ...]:
    """Find the other ledgers that this client may see, within half a second.

    Cancelling this leaves nothing behind.

    Args:
        client: redis-py's asyncio client; it stays open.
        names: the names of this ledger's keys on the server.
    """
    found: dict[str, Neighbour] = {}
    with suppress(*FAULTS):  # A timeout is among them.
        async with asyncio.timeout(_PATIENCE):
            async for key in client.scan_iter(match=EVERY_LEDGER, count=_AT_ONCE):
                name = key if isinstance(key, bytes) else key.encode()
                match = _ID.match(name)
                if match is not None and name != names.keys[0]:
                    facts = await client.execute_command(
                        "HMGET", key, "limits", "began", "received"
                    )
                    found[match[1].decode()] = Neighbour(match[1].decode(), _snapshot(*facts))
    return tuple(found[each] for each in sorted(found))


def _snapshot(limits: Any, began: Any, received: Any) -> Snapshot | None:
    try:
        return Snapshot(Limits.parse(json.loads(limits)), int(began) / 1000, int(received) / 1000)
    except (
        TypeError,
        ValueError,
        LimitsMalformed,
    ):  # before its first snapshot, or not one of ours
        return None
