"""Servers that deny commands, evict keys, hold another release's ledger or tell nonsense."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from callguard import LedgerUnavailable, RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import LEASE, TIMEOUT, Callers, contents, eventually, sharing


async def restrict(client: Redis, server: RedisServer, **rights: Any) -> str:
    """The address for a user with everything but what `rights` take away."""
    allowed: dict[str, Any] = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"], **rights}
    await client.acl_setuser(
        "restricted", enabled=True, reset=True, passwords=["+right_one"], **allowed
    )
    return server.url.replace("redis://", "redis://restricted:right_one@")


async def test_a_server_that_lets_nobody_publish_or_subscribe_costs_patience_only(
    own_redis: RedisServer, workspace_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where channels have to be allowed by name, as they have by default, calls would be lost."""
    async with provider(limit=2) as workspace, Redis.from_url(own_redis.url) as client:
        url = await restrict(client, own_redis, channels=[], reset_channels=True)
        async with (
            RedisLedger.from_url(url, name=workspace_key, lease=LEASE, timeout=TIMEOUT) as ledger,
            sharing(workspace, ledger) as one,
            sharing(workspace, ledger) as other,
        ):
            callers = Callers(one), Callers(other)
            callers[0].send(2)
            await callers[0].have_arrived(2)
            callers[0].arrived[0].placed("call_1")
            workspace.current = 1
            await eventually(lambda: _holds(client, workspace_key, (1, 1)))
            callers[1].send(1)
            callers[0].arrived[1].cancel()
            await callers[1].have_arrived(1)
            callers[1].send(1)  # who waits wants readings
            await eventually(lambda: _holds(client, workspace_key, (1, 0)))
            for crowd in callers:
                await crowd.go()
    warned = [record.message for record in caplog.records if "lets this user" in record.message]
    assert len(set(warned)) == 2, "that nothing is heard, and that nothing is told"
    assert len(warned) <= 4, "neither of two gates says it twice"


@pytest.mark.parametrize("command", ["hset", "zadd", "hlen", "time", "evalsha"])
async def test_a_command_that_is_denied_is_told_as_the_gate_opens(
    own_redis: RedisServer, workspace_key: str, command: str
) -> None:
    """A gate would wait for ever on a right that nobody knows is missing."""
    async with provider(limit=2) as workspace, Redis.from_url(own_redis.url) as client:
        url = await restrict(client, own_redis, commands=[f"-{command}"])
        async with RedisLedger.from_url(url, name=workspace_key, timeout=TIMEOUT) as ledger:
            with pytest.raises(LedgerUnavailable, match="denies this user what it needs"):
                async with sharing(workspace, ledger):
                    pass


@pytest.mark.parametrize("setting", ["maxmemory", "min-replicas-to-write"])
async def test_a_server_without_memory_or_replicas_loses_nothing(
    own_redis: RedisServer, workspace_key: str, setting: str
) -> None:
    """A script would stop half way, and the ledger count as lost, or the old master go on alone."""
    async with (
        provider(limit=3) as workspace,
        RedisLedger.from_url(own_redis.url, name=workspace_key) as ledger,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, ledger) as gate,
        gate.admit() as held,
    ):
        main_key = Names(workspace_key).keys[0]
        epoch = await client.hget(main_key, "epoch")
        await client.config_set(setting, 1)
        callers = Callers(gate)
        callers.send(1)
        await eventually(lambda: "can't be reached" in str(gate.explain()))
        assert not callers.arrived
        await client.config_set(setting, 0)
        await callers.have_arrived(1)
        assert (await contents(client, workspace_key)).held == (2, 0)
        assert await client.hget(main_key, "epoch") == epoch
        assert not held.lost
        await callers.go()


@pytest.mark.parametrize(
    ("policy", "warned"),
    [("allkeys-lru", True), ("volatile-ttl", True), ("noeviction", False)],
)
async def test_a_server_that_evicts_is_warned_of_as_the_gate_opens(
    redis_program: Path,
    workspace_key: str,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    warned: bool,
) -> None:
    """Whoever points callguard at a cache would find out when calls stop."""
    config = "--maxmemory", "50mb", "--maxmemory-policy", policy
    with RedisServer(*config, program=redis_program) as server:
        async with (
            provider(limit=2) as workspace,
            RedisLedger.from_url(server.url, name=workspace_key) as ledger,
            sharing(workspace, ledger),
        ):
            pass
    assert (f"maxmemory-policy {policy}" in caplog.text) is warned


async def test_a_server_that_does_not_say_how_it_evicts_is_used(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """INFO is denied by many hosts, and has nothing to do with placing calls."""
    async with provider(limit=2) as workspace, Redis.from_url(own_redis.url) as client:
        url = await restrict(client, own_redis, commands=["-info", "-config"])
        async with (
            RedisLedger.from_url(url, name=workspace_key) as ledger,
            sharing(workspace, ledger) as gate,
            gate.admit() as permit,
        ):
            permit.cancel()


async def test_the_ledger_of_another_release_is_refused_as_the_gate_opens(
    redis_url: str, workspace_key: str
) -> None:
    """Two releases would write into one ledger, each in its own way."""
    async with provider(limit=2) as workspace, Redis.from_url(redis_url) as client:
        facts = Names(workspace_key).keys[0]
        await client.hset(facts, mapping={"epoch": "theirs", "protocol": "99"})
        async with RedisLedger.from_url(redis_url, name=workspace_key) as ledger:
            with pytest.raises(LedgerUnavailable, match="protocol 99"):
                async with sharing(workspace, ledger):
                    pass
        assert await client.hgetall(facts) == {b"epoch": b"theirs", b"protocol": b"99"}


GARBAGE = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"7",
    b"{}",
    b'"text"',
    b'{"snapshot": null}',
    b'{"epoch": []}',
    b'{"snapshot": {"began": "x"}, "counts": [1, 2], "spent": 0, "lost": 0}',
    b'{"snapshot": {"began": 9e99, "reader": 1}, "counts": [1, 2], "spent": 0, "lost": 0}',
    b'{"snapshot": {"began": 9e99, "received": 9e99}, "counts": [1, 2], "spent": 0, "lost": 0}',
    b'{"snapshot": {"began": 0, "received": 0}, "counts": ["x", "y"], "spent": 0, "lost": 0}',
    b"[" * 100_000,
]


async def test_garbage_on_the_channels_ends_no_listening(
    redis_url: str, workspace_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody who may publish would make every gate deaf."""
    async with (
        provider(limit=1) as workspace,
        Redis.from_url(redis_url) as client,
        RedisLedger.from_url(redis_url, name=workspace_key, lease=60.0) as ledger,
        sharing(workspace, ledger, ttl=60.0, max_age=60.0) as one,
        sharing(workspace, ledger, ttl=60.0, max_age=60.0) as other,
    ):
        caplog.set_level(logging.CRITICAL, "callguard")
        channels = (
            f"{Names(workspace_key).channels}all",
            f"{Names(workspace_key).channels}{other.id}",
        )
        for message in GARBAGE:
            for channel in channels:
                assert await client.publish(channel, message)
        callers = Callers(one), Callers(other)
        callers[0].send(1)
        (permit,) = await callers[0].have_arrived(1)
        callers[1].send(1)
        await eventually(lambda: _somebody_waits(client, workspace_key))
        permit.cancel()
        assert await eventually(lambda: callers[1].arrived) < 20.0  # no reading until then
        for crowd in callers:
            await crowd.go()


@pytest.mark.slow
async def test_a_server_that_comes_back_from_an_older_dump_after_the_lease_is_noticed(
    redis_program: Path, tmp_path: Path, workspace_key: str
) -> None:
    """The calls that were placed since the dump would be forgotten, and their slots given again."""
    with RedisServer("--dir", str(tmp_path), program=redis_program) as server:
        async with (
            provider(limit=2) as workspace,
            RedisLedger.from_url(
                server.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
            ) as ledger,
            sharing(workspace, ledger, ring_limit=2.0) as gate,
        ):
            async with Redis.from_url(server.url) as client:
                await client.save()
                callers = Callers(gate)
                callers.send(2)
                for permit in await callers.have_arrived(2):
                    permit.placed()
                await eventually(lambda: _holds(client, workspace_key, (0, 2)))
            server.stop()
            loop = asyncio.get_running_loop()
            away_since = loop.time()
            await eventually(lambda: loop.time() > away_since + 1.2 * LEASE)
            server.start()
            back_at = loop.time()
            async with Redis.from_url(server.url) as client:
                assert await client.exists(Names(workspace_key).keys[0]), "the dump was not loaded"
            callers.send(1)
            await callers.have_arrived(3)
            assert callers.arrived_at[2] > back_at + LEASE + 2.0
            await callers.go()


async def _holds(client: Redis, workspace: str, held: tuple[int, int]) -> bool:
    return (await contents(client, workspace)).held == held


async def _somebody_waits(client: Redis, workspace: str) -> bool:
    return bool((await contents(client, workspace)).claims)
