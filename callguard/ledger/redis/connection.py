"""The connection on which a worker makes its exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

__all__ = ["Connection"]


class Connection:
    """One connection of a client's pool, taken at the first command and given back by `aclose`.

    Taking a connection for each command and giving it back would take a fifth of an exchange. If
    the connection breaks, or a command on it is cancelled, the next command connects again; no
    command is sent twice.

    A client that runs commands in a way of its own, as a cluster's does, runs these as well.

    Args:
        client: redis-py's asyncio client; it stays open.
    """

    def __init__(self, client: Redis | RedisCluster) -> None:
        self._client: Any = client
        is_plain = getattr(client.execute_command, "__func__", None) is Redis.execute_command
        self._pool: Any = getattr(client, "connection_pool", None) if is_plain else None
        self._taken: Any = None

    async def execute_command(self, *words: Any) -> Any:
        """Send a command, and wait for its answer; one command at a time.

        Raises:
            redis.exceptions.RedisError: it did not run, or failed, or its answer was lost.
        """
        if self._pool is None:
            return await self._client.execute_command(*words)
        if self._taken is None:
            self._taken = await _taken_from(self._pool)
        await self._taken.send_command(*words)
        return await self._client.parse_response(self._taken, words[0])

    async def info(self, section: str) -> Any:
        """A section of what the server says about itself, parsed by redis-py."""
        if self._pool is None:
            return await self._client.info(section)
        return await self.execute_command("INFO", section)

    async def aclose(self) -> None:
        """Give the connection back to the pool."""
        taken, self._taken = self._taken, None
        if taken is not None:
            await self._pool.release(taken)


async def _taken_from(pool: Any) -> Any:
    try:
        return await pool.get_connection()
    except TypeError:  # before redis-py 5.3, a pool wants to know for which command
        return await pool.get_connection("EVALSHA")
