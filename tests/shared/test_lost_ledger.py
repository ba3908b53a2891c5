"""Nobody gets in on contents that have forgotten calls which may be dialled still."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from callguard import AdmissionTimeout, LedgerUnavailable, RedisLedger
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import LEASE, PATIENCE, TIMEOUT, Callers, contents, eventually, sharing
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.slow

COUNTED_AFTER = 0.4


async def test_a_worker_that_is_cut_off_as_the_ledger_is_lost_may_dial_until_its_lease_ends(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A call dialled on a permit that is not lost would be one too many."""
    async with (
        provider(limit=1) as workspace,
        TcpProxy("127.0.0.1", own_redis.port) as proxy,
        RedisLedger.from_url(proxy.url(), name=workspace_key, lease=LEASE, timeout=TIMEOUT) as far,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as near,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, far) as cut_off,
        sharing(workspace, near) as other,
        cut_off.admit() as permit,
    ):
        proxy.half_open()
        await client.flushall()
        async with asyncio.timeout(PATIENCE), other.admit() as second:
            lost = permit.lost
            second.cancel()
        proxy.heal()
    assert lost


async def test_a_server_that_comes_back_empty_lets_nobody_in_until_the_counter_shows_all(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Gates would begin at zero, or forget what callers hold, or stand still for good."""
    async with (
        provider(limit=3) as workspace,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as ledger,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, ledger) as one,
        sharing(workspace, ledger) as other,
    ):
        holders = Callers(one), Callers(other)
        for holder, number in zip(holders, (2, 1), strict=True):
            holder.send(number)
            await holder.have_arrived(number)
        dialling, cancelled = holders[0].arrived
        (placed,) = holders[1].arrived
        waiting = Callers(one)
        waiting.send(2)
        own_redis.stop()
        cancelled.cancel()
        placed.placed("call_1")
        workspace.current = 1
        for gate in (one, other):
            with pytest.raises(LedgerUnavailable):
                async with asyncio.timeout(PATIENCE), gate.try_admit():
                    pass
        assert not waiting.arrived

        loop = asyncio.get_running_loop()
        back_at = loop.time()
        own_redis.start()
        await waiting.have_arrived(1)
        surely_shown_at = back_at + LEASE + COUNTED_AFTER
        assert waiting.arrived_at[0] > surely_shown_at
        assert workspace.asked_after(surely_shown_at)
        found = await contents(client, workspace_key)
        assert found.dialling == {dialling.id, waiting.arrived[0].id}
        assert found.usage == 3
        dialling.cancel()
        await waiting.have_arrived(2)
        for callers in (*holders, waiting):
            await callers.go()


async def test_a_flush_is_noticed_by_all_and_the_ledger_is_written_anew(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Whatever others hold would be given again."""
    async with (
        provider(limit=3) as workspace,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as ledger,
        Redis.from_url(own_redis.url) as client,
        AsyncExitStack() as gates,
    ):
        holders = []
        for _ in range(3):
            holder = Callers(await gates.enter_async_context(sharing(workspace, ledger)))
            holder.send(1)
            await holder.have_arrived(1)
            holders.append(holder)
        before = await contents(client, workspace_key)
        loop = asyncio.get_running_loop()
        flushed_at = loop.time()
        await client.flushall()
        workspace.limit = 4
        for holder in holders:
            holder.send(1)
        await eventually(lambda: any(len(holder.arrived) == 2 for holder in holders))
        (at,) = (holder.arrived_at[1] for holder in holders if len(holder.arrived) == 2)
        assert at > flushed_at + LEASE + COUNTED_AFTER
        after = await contents(client, workspace_key)
        assert after.held == (4, 0)
        assert after.dialling > before.dialling
        assert (after.workers, after.labelled) == (before.workers, before.labelled)
        holders[0].arrived[0].cancel()
        await eventually(lambda: sum(len(holder.arrived) for holder in holders) == 5)
        for holder in holders:
            await holder.go()


async def test_what_a_lost_ledger_means_is_said_as_what_it_is(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """An operator would look for a refusal by the provider, and there was none."""
    async with (
        provider(limit=3) as workspace,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as ledger,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, ledger) as gate,
        gate.admit() as held,
    ):
        assert gate.explain().admitted
        await client.flushall()
        with pytest.raises(AdmissionTimeout, match="the ledger is new or was lost"):
            async with gate.admit(timeout=LEASE / 2):
                pass
        assert gate.explain().constraint == "ledger lost"
        assert (await ledger.look(workspace_key)).withheld_from(0.0) == "ledger lost"
        async with asyncio.timeout(PATIENCE), gate.admit() as later:
            later.cancel()
        assert gate.explain().admitted
        held.cancel()


async def test_a_flushed_script_cache_heals_unnoticed(
    own_redis: RedisServer, workspace_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator's SCRIPT FLUSH would be an outage, or make a noise."""
    async with (
        provider(limit=5) as workspace,
        RedisLedger.from_url(own_redis.url, name=workspace_key) as ledger,
        Redis.from_url(own_redis.url) as client,
        sharing(workspace, ledger) as one,
        sharing(workspace, ledger) as other,
    ):
        async with one.admit() as permit:  # a new ledger waits for a reading that began later
            permit.cancel()
        for gate in (one, other, other, one):
            await client.script_flush()
            async with gate.try_admit() as permit:
                permit.cancel()
            await client.script_flush()
            async with gate.admit() as permit:
                permit.cancel()
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
