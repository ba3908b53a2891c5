"""Processes that die, stop, come back, or have a wrong clock: no slot is lost or given twice."""

from __future__ import annotations

import asyncio
import re
import socket
import time

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.ledger.redis.keys import Names
from tests.shared.far_gate import far_gate
from tests.shared.provider import provider
from tests.shared.support import LEASE, Callers, contents, eventually, sharing
from tests.support import loops

pytestmark = pytest.mark.slow

COUNTED_AFTER = 0.4

CLOCKS = ["wall"] if loops.chosen() == "uvloop" else ["wall", "loop"]
"""What can be bent: uvloop's own clock can't."""


async def test_what_a_killed_worker_was_dialling_counts_until_a_reading_must_show_it(
    redis_url: str, workspace_key: str
) -> None:
    """A call that was dialled by a worker that died would be forgotten, or its slot be lost."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger) as gate,
        far_gate(redis_url, workspace, workspace_key, "far") as far,
    ):
        permit = await far.admit()
        worker = permit.rsplit("-", 1)[0]
        callers = Callers(gate)
        callers.send(1)
        far.kill()
        lease_ends = await client.zscore(Names(workspace_key).keys[1], worker)
        assert lease_ends is not None
        await eventually(lambda: _is_absorbed(client, workspace_key, permit))
        assert await _server_time(client) > lease_ends / 1000 + COUNTED_AFTER
        await callers.have_arrived(1)
        left = await contents(client, workspace_key)
        assert left.dialling == {callers.arrived[0].id}
        assert left.uncounted == set()
        assert worker not in left.workers | left.labelled
        await callers.go()


async def test_a_worker_that_was_stopped_for_longer_than_its_lease_is_told(
    redis_url: str, workspace_key: str
) -> None:
    """Two would dial into one slot, and nobody would know, or the worker would be of no use."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger) as gate,
        far_gate(redis_url, workspace, workspace_key, "far") as far,
    ):
        permit = await far.admit()
        assert await far.lost() == [False]
        callers = Callers(gate)
        callers.send(1)
        far.pause()
        (other,) = await callers.have_arrived(1)
        far.resume()
        assert (await far.heard("lost"))["permit"] == permit
        assert await far.lost() == [True]
        both = await contents(client, workspace_key)
        assert both.dialling == {permit, other.id}
        assert both.usage == 2
        assert not other.lost

        far.send()
        far.say("cancel")
        other.cancel()
        again = (await far.heard("admitted"))["permit"]
        assert await far.lost() == [False]
        await eventually(lambda: _is_all_that_dials(client, workspace_key, again))
        await callers.go()


async def test_a_dial_may_last_longer_than_a_lease(redis_url: str, workspace_key: str) -> None:
    """A worker that has nothing to say would lose the slots that it holds."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        far_gate(redis_url, workspace, workspace_key, "far") as far,
        sharing(workspace, ledger),
    ):
        permit = await far.admit()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await eventually(lambda: loop.time() > began + 1.5 * LEASE)
        assert await far.lost() == [False]
        assert (await contents(client, workspace_key)).dialling == {permit}


async def test_a_pause_says_at_another_process_who_made_it_since_when_and_why(
    redis_url: str, workspace_key: str
) -> None:
    """Whoever finds a worker that dials nothing would not know whom to ask, once that has gone."""
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        far_gate(redis_url, workspace, workspace_key, "far", clock="wall") as other,
    ):
        began = time.monotonic()
        async with far_gate(redis_url, workspace, workspace_key, "far") as one:
            pid = await one.order_pause("carrier trouble")
            while "paused" not in (sentence := await other.explained()):
                pass
            one.kill()
        by = f"paused from {socket.gethostname()}:{pid}"
        assert by in sentence
        async with far_gate(redis_url, workspace, workspace_key, "far") as later:
            while "paused" not in (sentence := await later.explained()):
                pass
            [pause] = (await ledger.look("far")).pauses
            sentences = [sentence, await other.explained(), str(pause)]
        passed = time.monotonic() - began
        for each in sentences:
            found = re.search(re.escape(by) + r' (\d+) s ago \("carrier trouble"\)', each)
            assert found, each
            assert int(found[1]) <= passed + 1


@pytest.mark.parametrize("clock", CLOCKS)
async def test_a_worker_whose_clock_is_wrong_changes_nothing(
    redis_url: str, workspace_key: str, clock: str
) -> None:
    """A lease would never end, or at once; a reading would be too old, or cover what it can't."""
    async with (
        provider(limit=2) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger, "near") as gate,
        far_gate(redis_url, workspace, workspace_key, "far", clock=clock) as far,
    ):
        workspace.failing.add("near")  # so that all readings are the other's
        dialling = await far.admit()
        callers = Callers(gate)
        callers.send(2)
        (own,) = await callers.have_arrived(1)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await eventually(lambda: loop.time() > began + 1.5 * LEASE)
        held = await contents(client, workspace_key)
        assert held.dialling == {dialling, own.id}, "its lease was not renewed"
        await eventually(lambda: "far" in workspace.asked_after(began + LEASE))
        age = gate.statistics().snapshot_age
        assert age is not None
        assert 0.0 < age < 10.0

        far.say("placed")
        placed_at = loop.time()
        await callers.have_arrived(2)
        assert loop.time() > placed_at + COUNTED_AFTER
        await callers.go()


async def _is_absorbed(client: Redis, workspace: str, permit: str) -> bool:
    found = await contents(client, workspace)
    return permit not in found.dialling | found.uncounted


async def _is_all_that_dials(client: Redis, workspace: str, permit: str) -> bool:
    return (await contents(client, workspace)).dialling == {permit}


async def _server_time(client: Redis) -> float:
    seconds, microseconds = await client.time()
    return float(seconds + microseconds / 1e6)
