"""The clients and servers that a user may have, and what they get to see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from callguard import LedgerUnavailable, RedisLedger, Trunk, UsageError
from callguard.ledger.redis.keys import Names
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import LEASE, TIMEOUT, Callers, contents, eventually, sharing


async def test_gates_share_the_ledger_of_a_cluster(
    redis_cluster: Sequence[RedisServer], workspace_key: str
) -> None:
    """A cluster would refuse the script, or nobody would be called there."""
    async with (
        provider(limit=1) as workspace,
        RedisCluster.from_url(redis_cluster[0].url) as client,
    ):
        if not hasattr(client, "pubsub"):  # the lowest redis-py that the tests run on
            with pytest.raises(UsageError, match="a cluster needs redis-py 8"):
                RedisLedger(client)
            return
        ledger = RedisLedger(client, name=workspace_key, lease=60.0)
        # Nothing but a call wakes a waiter within 30 s.
        async with (
            sharing(workspace, ledger, ttl=60.0, max_age=60.0) as one,
            sharing(workspace, ledger, ttl=60.0, max_age=60.0) as other,
        ):
            callers = Callers(one), Callers(other)
            callers[0].send(1)
            (permit,) = await callers[0].have_arrived(1)
            callers[1].send(1)
            await eventually(lambda: _somebody_waits(client, workspace_key))
            assert not callers[1].arrived
            permit.cancel()
            assert await eventually(lambda: callers[1].arrived) < 20.0
            for crowd in callers:
                await crowd.go()
        slots = {client.keyslot(key) for key in Names(workspace_key).keys}
        assert len(slots) == 1


def test_a_cluster_s_client_that_cannot_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older than 8.0, redis-py hears nothing on a cluster: gates would wait, and none say why."""
    monkeypatch.delattr(RedisCluster, "pubsub", raising=False)
    with pytest.raises(UsageError, match=r"redis-py 8.0 or newer, not \d.*install 'redis\["):
        RedisLedger(RedisCluster(host="localhost"))


async def connected(client: Redis) -> set[str]:
    """The ids of the server's connections."""
    return {str(each["id"]) for each in await client.client_list()}


async def test_a_client_of_the_users_may_decode_and_stays_open(
    redis_url: str, workspace_key: str
) -> None:
    """A service that uses its client for more would find it closed, or could not use it here."""
    async with (
        provider(limit=1) as workspace,
        Redis.from_url(redis_url, decode_responses=True) as client,
    ):
        async with RedisLedger(client, name=workspace_key) as ledger:
            async with (
                sharing(workspace, ledger) as one,
                sharing(workspace, ledger) as other,
            ):
                for gate in (one, other, one):
                    async with gate.admit() as permit:
                        permit.cancel()
                assert one.statistics().admitted == 2
                open_before = await connected(client)
        assert open_before & await connected(client)


@pytest.mark.parametrize("credentials", ["", ":wrong_one@", "nobody:wrong_one@"])
async def test_a_wrong_password_is_told_and_not_shown(
    redis_program: Path, workspace_key: str, credentials: str
) -> None:
    """A gate would wait for ever on a wrong password, or print it."""
    with RedisServer("--requirepass", "right_one", program=redis_program) as server:
        async with provider(limit=1) as workspace:
            url = server.url.replace("redis://", f"redis://{credentials}")
            async with RedisLedger.from_url(url, name=workspace_key, timeout=TIMEOUT) as ledger:
                with pytest.raises(LedgerUnavailable) as caught:
                    async with sharing(workspace, ledger):
                        pass
    error: BaseException | None = caught.value
    while error is not None:
        assert "right_one" not in f"{error!r}{error}"
        assert "wrong_one" not in f"{error!r}{error}"
        error = error.__cause__ or error.__context__


class _HangsUp:
    """A client whose server refuses a long command without a password, and then hangs up."""

    def __init__(self) -> None:
        self._faults = iter([ResponseError("Protocol error: unauthenticated multibulk length")])

    def pubsub(self) -> AsyncIterator[None]:
        raise Disconnected("Connection closed by server.")

    async def execute_command(self, *words: object) -> None:
        raise next(self._faults, Disconnected("Connection closed by server."))


async def test_a_server_that_hangs_up_on_whom_it_refused_has_refused_him() -> None:
    """Whether a wrong password is told, or waited out for ever, would be a matter of luck."""
    ledger = RedisLedger(cast("Redis", _HangsUp()), timeout=TIMEOUT)
    async with provider(limit=1) as workspace:
        with pytest.raises(LedgerUnavailable, match="wants a password"):
            async with sharing(workspace, ledger):
                pass


async def test_all_that_is_kept_expires_and_is_told_by_hashes(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A silent workspace would stay on the server, or its operator could read keys and calls."""
    rates: dict[str, Any] = {"cps": 100.0, "trunks": [Trunk("carrier", calls=9)]}
    async with (
        provider(limit=3) as workspace,
        RedisLedger.from_url(own_redis.url, lease=LEASE, timeout=TIMEOUT) as ledger,
        Redis.from_url(own_redis.url, decode_responses=True) as client,
        sharing(workspace, ledger, workspace_key, ring_limit=600.0, **rates) as one,
        sharing(workspace, ledger, workspace_key, ring_limit=600.0, **rates) as other,
    ):
        async with one.admit(trunk="carrier") as permit:
            permit.placed("call_4")
        callers = Callers(one), Callers(other)
        callers[0].send(2)
        await callers[0].have_arrived(2)
        callers[1].send(1)
        callers[0].arrived[0].placed("call_1")
        other.note_ended("call_2")
        other.note_answered("call_3")
        unused = (b":called", b":paused")
        keys = [key for key in Names(workspace_key).keys if not key.endswith(unused)]
        await eventually(lambda: _all_are_there(client, keys))
        await eventually(lambda: _all_expire(client))
        channels = await client.pubsub_channels()
        assert len(channels) == 3
        shown = [*channels, *[text async for text in _everything(client)]]
        assert any(callers[0].arrived[0].id in text for text in shown)
        for text in shown:
            for secret in (workspace_key, workspace.url, "call_1", "call_2", "call_3", "call_4"):
                assert secret not in text
        for crowd in callers:
            await crowd.go()


async def test_what_a_worker_leaves_behind_expires(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Every short-lived worker that was the last would leave keys on the server for good."""
    async with (
        provider(limit=2) as workspace,
        RedisLedger.from_url(own_redis.url, name=workspace_key) as ledger,
        Redis.from_url(own_redis.url) as client,
    ):
        async with sharing(workspace, ledger) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
        assert await client.keys()
        assert await _all_expire(client)


async def _somebody_waits(client: Redis | RedisCluster, workspace: str) -> bool:
    return bool((await contents(client, workspace)).claims)


async def _all_are_there(client: Redis, keys: list[bytes]) -> bool:
    return await client.exists(*keys) == len(keys)


async def _all_expire(client: Redis) -> bool:
    return min([await client.pttl(key) for key in await client.keys()]) > 0


async def _everything(client: Redis) -> AsyncIterator[str]:
    """All that is on the server, as text."""
    for key in await client.keys():
        yield str(key)
        found: Any = (
            await client.hgetall(key)
            if await client.type(key) == "hash"
            else await client.zrange(key, 0, -1)
        )
        yield str(found)
