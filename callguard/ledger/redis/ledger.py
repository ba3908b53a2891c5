"""`RedisLedger`: the server that keeps a workspace's ledger, and the ledger's settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from callguard.arguments import checked_seconds, checked_text, checked_whole
from callguard.errors import MissingExtra
from callguard.ledger.process import this_process
from callguard.ledger.redis.client import client_at
from callguard.ledger.redis.failure import key_mark
from callguard.ledger.redis.keys import Names, workspace_hash
from callguard.ledger.redis.settings import Settings
from callguard.ledger.times import Times
from callguard.showing import shown
from callguard.trunks import Trunk

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

    from callguard.ledger.protocol import Claimant
    from callguard.ledger.redis.holders import Contents
    from callguard.ledger.redis.neighbours import Neighbour
    from callguard.ledger.redis.session import Session

__all__ = ["RedisLedger"]

GRACE = 1.0
"""Seconds for which a new ledger admits nobody. A worker that lost its connection, and with it the
ledger, takes half as long to come back and report that (`session._BACKOFF`)."""


Client = TypeVar("Client")


class RedisLedger:
    """A ledger on a Redis (6.2 or newer) or Valkey server, shared by all gates that name it.

    One `RedisLedger` may serve any number of gates. Each gate takes two connections from the
    client's pool, one to speak and one to listen, and gives them back when it is closed.

    Args:
        client: redis-py's asyncio client of a single server, of a Sentinel's master
            (``sentinel.master_for(...)``), or, from redis-py 8.0 on, of a cluster. It stays open.
        name: the name of the workspace's ledger, for workers with different API keys. Without it,
            the ledger is named by the key. The server has only a hash of either.
        lease: seconds of a worker's silence after which the calls that it was dialling count as
            placed. A worker whose event loop is blocked, or whose machine sleeps, for longer loses
            its slots.
        timeout: seconds to wait for an answer.
        local_share: calls that each gate may have dialling or uncounted at once while the server
            can't be reached, as far as the count leaves room. The count may then exceed the ceiling
            by what other gates have dialling or uncounted. None to admit nobody.

    Raises:
        TypeError: a time is not a number, or `local_share` is not a whole number.
        ValueError: a time is not above 0 s and finite, `lease` is too short for `timeout`, or
            `local_share` is below 0.
        MissingExtra: the client is a cluster's, and redis-py is older than 8.0.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        name: str | None = None,
        lease: float = 10.0,
        timeout: float = 2.0,
        local_share: int | None = None,
    ) -> None:
        lease = checked_seconds("lease", lease, above_zero=True)
        timeout = checked_seconds("timeout", timeout, above_zero=True)
        if lease < 2 * timeout:
            raise ValueError(f"lease must be at least twice timeout, {timeout!r} s, got {lease!r}")
        if local_share is not None:
            local_share = checked_whole("local_share", local_share, least=0)
        if name is not None:
            checked_text("name (unless None)", name, 'write name="production", say')
        self._client = _checked_client(client)
        if not hasattr(client, "pubsub"):
            raise MissingExtra(
                f"a ledger on a cluster needs redis-py 8.0 or newer, not {_redis_version()}",
                "redis",
                "pip install 'redis[hiredis]>=8.0'",
            )
        self._name = name
        self._lease = lease
        self._timeout = timeout
        self._local_share = local_share
        self._owns_client = False

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        name: str | None = None,
        lease: float = 10.0,
        timeout: float = 2.0,
        local_share: int | None = None,
    ) -> Self:
        """Make a ledger on the server at `url`: ``redis://``, ``rediss://`` or ``unix://``.

        The other arguments are those of `RedisLedger`.

        Raises:
            MissingExtra: redis-py is not installed.
            UsageError: the address can't be used. The error says which part of it, and what to do,
                but doesn't show the address, because it may contain a password.
        """
        timeout = checked_seconds("timeout", timeout, above_zero=True)
        if not isinstance(url, str):
            raise TypeError(f"url must be an address as text, got {shown(url)}")
        client = client_at(url, timeout)
        ledger = cls(client, name=name, lease=lease, timeout=timeout, local_share=local_share)
        ledger._owns_client = True
        return ledger

    def session(
        self,
        worker: str,
        workspace: str,
        times: Times,
        claimant: Claimant,
        trunks: Sequence[Trunk] = (),
        *,
        inbound_apart: bool = False,
        ends_free: bool = False,
    ) -> Session:
        """Make a worker's connection to the ledger, in the event loop; the caller starts it.

        Args:
            worker: the worker's id, unique in the world and without a slash.
            workspace: the workspace's API key, which names a ledger without a name.
            times: the durations that the ledger uses.
            claimant: takes slots and news.
            trunks: the gate's trunks, which must be the same at all gates.
            inbound_apart: whether inbound calls are counted apart.
            ends_free: whether calls that are known to be over free their slots at once.
        """
        from callguard.ledger.redis.session import Session

        names = Names(self._name or workspace)
        return Session(
            self._client,
            worker,
            this_process(),
            names,
            replace(self.settings(times), inbound_apart=inbound_apart, ends_free=ends_free),
            claimant,
            key_mark(workspace),
            share=self._local_share,
            trunks=trunks,
        )

    def settings(self, times: Times) -> Settings:
        """The settings of a worker with these durations."""
        return Settings(times, lease=self._lease, grace=GRACE, timeout=self._timeout)

    @property
    def is_named(self) -> bool:
        """Whether the ledger has a name of its own, and so isn't named by an API key."""
        return self._name is not None

    def workspace_hash(self, workspace: str) -> str:
        """The workspace's hash, on the server and in events: 24 hexadecimal digits.

        Args:
            workspace: the workspace's API key, which names the ledger if nothing else does.
        """
        return workspace_hash(self._name or workspace)

    async def look(self, workspace: str) -> Contents:
        """Return the ledger's contents: who holds slots, and who waits. Looking changes nothing.

        Cancelling this leaves nothing behind.

        Args:
            workspace: the workspace's API key, which names the ledger if nothing else does.

        Raises:
            LedgerUnavailable: the server did not answer in time, or refused.
        """
        from callguard.ledger.redis.holders import look

        return await look(self._client, Names(self._name or workspace), self._timeout)

    async def pause(
        self,
        workspace: str,
        lane: str | None = None,
        trunk: str | None = None,
        *,
        by: str,
        reason: str = "",
    ) -> bool | None:
        """Pause a lane, a trunk, a lane on a trunk, or everything, at every gate on the ledger.

        If this is cancelled, the pause may have been made.

        Args:
            workspace: the workspace's API key, which names a ledger without a name.
            lane: the lane's name; None for all lanes.
            trunk: the trunk's name; None for all trunks.
            by: who makes the pause, for denials and `callguard ps`.
            reason: the reason, for denials and `callguard ps`.

        Returns:
            True; None if there is no such ledger.

        Raises:
            LedgerUnavailable: the server did not answer in time, or refused.
        """
        return await self._change(workspace, (lane, trunk), (by, reason))

    async def resume(
        self, workspace: str, lane: str | None = None, trunk: str | None = None
    ) -> bool | None:
        """Lift the pause with these names at every gate; see `pause`.

        Returns:
            Whether there was such a pause; None if there is no such ledger.
        """
        return await self._change(workspace, (lane, trunk), None)

    async def _change(
        self, workspace: str, scope: tuple[str | None, str | None], why: tuple[str, str] | None
    ) -> bool | None:
        from callguard.ledger.redis.pauses import change

        names = Names(self._name or workspace)
        return await change(self._client, names, self._timeout, scope, why)

    async def neighbours(self, workspace: str) -> tuple[Neighbour, ...]:
        """Find the other ledgers on the server, within half a second. Looking changes nothing.

        Cancelling this leaves nothing behind.

        Args:
            workspace: the workspace's API key, which names the ledger if nothing else does.
        """
        from callguard.ledger.redis.neighbours import neighbours

        return await neighbours(self._client, Names(self._name or workspace))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, if it was made by `from_url`.

        If this is cancelled, the client is closed before the cancellation is passed on.
        """
        if not self._owns_client:
            return
        closing = asyncio.ensure_future(self._client.aclose())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            await asyncio.wait([closing], timeout=self._timeout)
            raise


def _redis_version() -> str:
    from redis import __version__

    return str(__version__)


def _checked_client(client: Client) -> Client:
    # A client is recognized by its methods, so that redis-py need not be installed.
    if isinstance(client, type) or not iscoroutinefunction(
        getattr(client, "execute_command", None)
    ):
        instead = (
            "an address goes into RedisLedger.from_url(...)"
            if isinstance(client, str)
            else "make it by redis.asyncio.Redis(...)"
        )
        got = "an address" if isinstance(client, str) else shown(client)
        raise TypeError(f"client must be an asyncio client of redis-py, got {got}: {instead}")
    return client
