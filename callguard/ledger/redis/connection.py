"""The connection on which a worker makes its exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from callguard.ledger.redis.deadline import Deadline
from callguard.ledger.redis.scripts import Script
from callguard.tasks import begin, end

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster

__all__ = ["Connection"]

_CONNECTS: Final = 4
"""Time-outs after which connecting is given up. With TLS, a password and a database, connecting
takes seven round trips."""

_WORD: Final = b"$%d\r\n%b\r\n"
"""A word of a command as the server reads it: its length, and the word."""


class Connection:
    """One connection of a client's pool, taken at the first command and given back by `aclose`.

    Taking a connection for each command and giving it back would take a fifth of an exchange. If
    the connection breaks, or a command on it is cancelled, the next command connects again; no
    command is sent twice.

    Connecting takes several round trips, and so may take longer than a command. It goes on even if
    nobody waits for it any longer, and the next command waits for the same attempt.

    A client with its own way of running commands, such as a cluster's, runs these commands too.

    Args:
        client: redis-py's asyncio client; it stays open.
        timeout: seconds that a command waits for the connection, and then for its answer.
    """

    def __init__(self, client: Redis | RedisCluster, timeout: float) -> None:
        self._client: Any = client
        is_plain = getattr(client.execute_command, "__func__", None) is Redis.execute_command
        self._pool: Any = getattr(client, "connection_pool", None) if is_plain else None
        self._timeout = timeout
        self._deadline = Deadline(timeout)
        self._taken: Any = None
        self._connecting: asyncio.Task[None] | None = None
        self._head: tuple[Script, tuple[bytes, ...]] | None = None
        self._packed_head = b""

    async def run(self, script: Script, keys: tuple[bytes, ...], *arguments: str | bytes) -> Any:
        """Run a script as `Script.run` does; raises what `execute_command` raises."""
        if self._pool is None:
            with self._deadline:
                return await script.run(self._client, keys, *arguments)
        if not self._is_connected:
            with self._deadline:
                await self._connected()
        packed = self._packed(script, keys, arguments)
        try:
            with self._deadline:
                await self._taken.send_packed_command(packed)
                return await self._taken.read_response()
        except NoScriptError:
            return await self.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

    async def execute_command(self, *words: Any) -> Any:
        """Send a command, and wait for its answer; one command at a time.

        Raises:
            redis.exceptions.RedisError: the command did not run, or failed, or its answer was lost.
            TimeoutError: the command or connecting took too long.
        """
        if self._pool is None:
            with self._deadline:
                return await self._client.execute_command(*words)
        if not self._is_connected:
            with self._deadline:
                await self._connected()
        with self._deadline:
            await self._taken.send_command(*words)
            return await self._client.parse_response(self._taken, words[0])

    def _packed(
        self, script: Script, keys: tuple[bytes, ...], arguments: Sequence[str | bytes]
    ) -> bytes:
        """A command as the server reads it.

        Of an exchange's only the arguments are new: the script and the keys stay the same.
        redis-py would pack all of them anew, for a tenth of what the exchange takes here.
        """
        if self._head != (script, keys):
            self._head = script, keys
            words = b"EVALSHA", script.digest.encode(), b"%d" % len(keys), *keys
            self._packed_head = b"".join([_WORD % (len(word), word) for word in words])
        packed = b"*%d\r\n%b" % (3 + len(keys) + len(arguments), self._packed_head)
        for argument in arguments:
            word = argument if isinstance(argument, bytes) else argument.encode()
            packed += _WORD % (len(word), word)
        return packed

    async def info(self, section: str) -> Any:
        """Return a section of the server's INFO, parsed by redis-py."""
        if self._pool is not None:
            return await self.execute_command("INFO", section)
        with self._deadline:
            return await self._client.info(section)

    async def aclose(self) -> None:
        """Give the connection back to the pool, or end connecting."""
        self._deadline.close()
        if self._connecting is not None:
            await end([self._connecting])
        taken, self._taken = self._taken, None
        if taken is not None:
            await self._pool.release(taken)

    @property
    def _is_connected(self) -> bool:
        # redis-py's connection counts as connected before the server has accepted the client.
        return self._connecting is None and self._taken is not None and self._taken.is_connected

    async def _connected(self) -> None:
        if self._connecting is None:
            self._connecting = begin(self._connect(), "callguard ledger, connecting")
            self._connecting.add_done_callback(self._note_outcome)
        connecting = self._connecting
        await asyncio.wait([connecting])
        connecting.result()

    def _note_outcome(self, connecting: asyncio.Task[None]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # marks it as retrieved, in case nobody waits any more

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_CONNECTS * self._timeout):
                if self._taken is None:
                    self._taken = await _taken_from(self._pool)
                await self._taken.connect()
        except BaseException:
            # A half-connected one would count as connected.
            if self._taken is not None:
                await self._taken.disconnect(nowait=True)
            raise


async def _taken_from(pool: Any) -> Any:
    try:
        return await pool.get_connection()
    except TypeError:  # before redis-py 5.3, a pool wants to know for which command
        return await pool.get_connection("EVALSHA")
