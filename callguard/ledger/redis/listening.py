"""Listening for messages that the ledger's server pushes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as Disconnected

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

__all__ = ["hear_out"]

_SILENCES: Final = 2
"""Pings without an answer after which a connection is dead."""


async def hear_out(
    client: Redis | RedisCluster,
    channels: tuple[str, ...],
    heartbeat: float,
    listens: Callable[[bool], None],
    hear: Callable[[bytes | str], None],
) -> None:
    """Listen until the connection breaks, or is found dead.

    Args:
        client: redis-py's asyncio client; it stays open.
        channels: the channels to listen to.
        heartbeat: seconds of silence after which the server is pinged.
        listens: called with True when the server has confirmed the subscription, and with False
            when pushes may no longer come.
        hear: called with each push.

    Raises:
        redis.exceptions.RedisError, OSError: the connection broke or is dead.
    """
    try:
        async with client.pubsub() as bell:
            await bell.subscribe(*channels)
            silences = 0
            while silences < _SILENCES:
                message = await bell.get_message(timeout=heartbeat)
                silences = 0 if message is not None else silences + 1
                if message is None:
                    await bell.ping()
                elif message["type"] == "subscribe":
                    listens(True)
                elif message["type"] == "message":
                    hear(message["data"])
    finally:
        listens(False)
    raise Disconnected("the server answers no ping")
