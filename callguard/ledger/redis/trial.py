"""A trial of what a ledger's server lets this client do; it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.scripts import TRIAL

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["may_subscribe", "tried"]


async def tried(client: Redis, names: Names) -> Sequence[tuple[str, str]]:
    """Try every command of the ledger's scripts, on keys that the ledger doesn't have.

    Cancelling this leaves two keys for a second at most.

    Returns:
        The commands that failed, each with what the server said.

    Raises:
        redis.exceptions.RedisError: the server lets this client run no script.
    """
    prefix = names.channels
    keys = f"{prefix}trial".encode(), f"{prefix}trial, sorted".encode()
    answer = await TRIAL.run(client, keys, f"{prefix}trial")
    said = [each.decode() if isinstance(each, bytes) else str(each) for each in answer]
    return list(zip(said[::2], said[1::2], strict=True))


async def may_subscribe(client: Redis, names: Names, timeout: float) -> bool:
    """Whether the server confirms a subscription. Cancelling this leaves nothing behind.

    Raises:
        redis.exceptions.RedisError: the server refuses it.
        TimeoutError: there was no answer in time.
    """
    async with asyncio.timeout(timeout), client.pubsub() as bell:
        await bell.subscribe(f"{names.channels}trial")
        while True:
            message = await bell.get_message(timeout=timeout)
            if message is not None:
                return bool(message["type"] == "subscribe")
