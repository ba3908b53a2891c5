"""The client of redis-py that a ledger makes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callguard.errors import MissingExtra, UsageError
from callguard.ledger.redis.address import checked_address

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["client_at"]

MOST_CONNECTIONS = 100_000
"""Practically no limit: each gate of the process takes two connections. redis-py's own limit, 100
in version 8.1, would allow only 50 gates."""


def client_at(address: str, timeout: float) -> Redis:
    """Make a client of the single server at `address`, which sends nothing twice.

    Args:
        address: as `checked_address` takes it.
        timeout: seconds to wait for a connection; waiting for answers has no limit.

    Raises:
        MissingExtra: redis-py is not installed.
        UsageError: the address can't be used.
    """
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise MissingExtra(
            "a ledger on Redis needs redis-py", "redis", "pip install 'redis[hiredis]>=5.0.1'"
        ) from None
    try:
        return Redis.from_url(
            checked_address(address),
            max_connections=MOST_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=timeout,
        )
    except ValueError:
        raise UsageError(
            "the ledger's address can't be used: it is like redis://localhost:6379/0"
        ) from None
