"""A pause on a shared ledger is one of all its gates."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from redis.asyncio import Redis

from callguard import Lane, RedisLedger
from callguard.events import Event, Paused, Resumed
from callguard.ledger.redis.keys import Names
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import LEASE, TIMEOUT, Callers, eventually, sharing

LANES: dict[str, Any] = {"lanes": [Lane("bulk"), Lane("urgent")]}


async def test_a_pause_holds_at_each_gate_and_ends_wherever_it_is_resumed(
    redis_url: str, workspace_key: str
) -> None:
    """One worker would dial on into a carrier's trouble, because another was told of it."""
    heard: list[Event] = []
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, **LANES) as here,
        sharing(workspace, ledger, listener=heard.append, **LANES) as there,
    ):
        here.pause("bulk", reason="carrier trouble")
        await eventually(lambda: there.explain("bulk").constraint == "paused")
        assert f":{os.getpid()} " in str(there.explain("bulk"))
        assert '("carrier trouble")' in str(there.explain("bulk"))
        callers = [Callers(gate) for gate in (here, there)]
        for each in callers:
            each.send(1, "bulk")
            each.send(1, "urgent")
            await each.have_arrived(1)
        await asyncio.sleep(0.6)  # three snapshots
        assert [[permit.lane.name for permit in each.arrived] for each in callers] == [
            ["urgent"],
            ["urgent"],
        ]
        assert there.resume("bulk")
        for each in callers:
            await each.have_arrived(2)
            await each.go()
        assert not here.resume("bulk")
        told = [event for event in heard if isinstance(event, Paused | Resumed)]
        assert [(type(event), event.lane) for event in told] == [
            (Paused, "bulk"),
            (Resumed, "bulk"),
        ]


async def test_a_pause_outlives_the_gates_and_who_comes_next_knows_of_it(
    redis_url: str, workspace_key: str
) -> None:
    """A deployment would end a pause, because all workers were restarted in it."""
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):
        async with sharing(workspace, ledger) as gate:
            gate.pause(reason="maintenance")
        async with sharing(workspace, ledger) as gate:
            [pause] = gate.statistics().pauses
            assert (pause.lane, pause.trunk, pause.reason) == (None, None, "maintenance")
            callers = Callers(gate)
            callers.send(1)
            await asyncio.sleep(0.5)
            assert not callers.arrived
            gate.resume()
            await callers.have_arrived(1)
            await callers.go()


async def test_a_pause_from_outside_holds_at_the_gates_and_is_seen_by_who_looks(
    redis_url: str, workspace_key: str
) -> None:
    """Whoever has no worker at hand could stop nothing."""
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):
        assert await ledger.pause("key", by="me") is None
        async with sharing(workspace, ledger) as gate:
            assert await ledger.resume("key") is False
            assert await ledger.pause("key", "default", by="me", reason="lunch")
            await eventually(lambda: gate.explain().constraint == "paused")
            [seen] = (await ledger.look("key")).pauses
            assert (seen.lane, seen.trunk, seen.by, seen.reason) == ("default", None, "me", "lunch")
            assert 0.0 <= seen.seconds < 30.0
            assert await ledger.resume("key", "default")
            await eventually(lambda: gate.explain().admitted)
            assert (await ledger.look("key")).pauses == ()


async def test_what_is_paused_is_seen_and_resumed_though_no_gate_has_come_for_long(
    redis_url: str, workspace_key: str
) -> None:
    """Nobody could end a pause before a worker is there, which would dial at once."""
    names = Names(workspace_key)
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
    ):
        async with sharing(workspace, ledger):
            await ledger.pause("key", by="me")
        await client.delete(*[key for key in names.keys if await client.ttl(key) > 0])
        [seen] = (await ledger.look("key")).pauses
        assert (seen.lane, seen.trunk, seen.by) == (None, None, "me")
        assert (await ledger.look("key")).known
        assert await ledger.pause("key", "bulk", by="you")
        assert await ledger.resume("key", "bulk") is True
        assert await ledger.resume("key", "bulk") is False
        assert await ledger.resume("key") is True
        assert await ledger.resume("key") is None, "there is such a ledger still"
        assert not await client.exists(*names.keys)


@pytest.mark.slow
async def test_a_server_that_comes_back_empty_hears_of_a_pause_from_the_gates_that_knew_it(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Workers would dial into a carrier's trouble because a server without a disk was restarted."""
    heard: list[Event] = []
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as ledger,
        sharing(workspace, ledger, **LANES) as here,
        sharing(workspace, ledger, listener=heard.append, **LANES) as there,
    ):
        here.pause("bulk", reason="carrier trouble")
        here.pause("urgent")
        await eventually(lambda: len(there.statistics().pauses) == 2)
        assert here.resume("urgent")
        await eventually(lambda: len(there.statistics().pauses) == 1)
        own_redis.stop()
        own_redis.start()
        await eventually(lambda: here.explain("urgent").constraint == "ledger lost")
        async with sharing(workspace, ledger, **LANES) as new:
            await eventually(lambda: new.statistics().pauses)
            for gate in (here, there, new):
                [pause] = gate.statistics().pauses
                assert (pause.lane, pause.reason) == ("bulk", "carrier trouble")
            callers = Callers(there)
            callers.send(1, "bulk")
            callers.send(1, "urgent")
            await callers.have_arrived(1)
            assert [permit.lane.name for permit in callers.arrived] == ["urgent"]
            await callers.go()
            assert new.resume("bulk")
            await eventually(lambda: not here.statistics().pauses)
        told = [event for event in heard if isinstance(event, Paused | Resumed)]
        assert [(type(event), event.lane) for event in told] == [
            (Paused, "bulk"),
            (Paused, "urgent"),
            (Resumed, "urgent"),
            (Resumed, "bulk"),
        ]
