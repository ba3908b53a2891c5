"""One worker reads for all, and any other does when that one is gone, slow, or fails."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.events import Event, ReadingTaken
from tests.shared.far_gate import far_gate
from tests.shared.provider import Provider, provider
from tests.shared.support import SLACK, TTL, Callers, contents, eventually, sharing

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("at_it", [False, True])
async def test_a_killed_poller_is_replaced_within_two_ttl(
    redis_url: str, workspace_key: str, at_it: bool
) -> None:
    """Callers would wait, though there is room, for as long as the dead worker's lease lasts."""
    ttl = 0.5
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, "near", ttl=ttl) as gate,
        far_gate(
            redis_url, workspace, workspace_key, "far", ttl=ttl, lease=60.0, timeout=2.0
        ) as far,
    ):
        far.send()
        await _reads(workspace, "far", 2)
        if at_it:
            workspace.latency["far"] = 60.0
            await _reads(workspace, "far", 1)
        callers = Callers(gate)
        callers.send(1)
        await eventually(lambda: any(gate.statistics().waiting.values()))
        workspace.limit = 1
        far.kill()
        assert await eventually(lambda: callers.arrived) < 2 * ttl + SLACK
        assert workspace.asked[-1][0] == "near"
        await callers.go()


@pytest.mark.parametrize("at_it", [False, True])
async def test_a_poller_that_is_closed_is_replaced_within_two_ttl(
    redis_url: str, workspace_key: str, at_it: bool
) -> None:
    """Callers would wait for a worker that has taken its leave."""
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, "second") as second,
    ):
        callers = Callers(second)
        async with sharing(workspace, ledger, "first") as first:
            leaving = Callers(first)
            leaving.send(1)
            await _reads(workspace, "first", 3)
            if at_it:
                workspace.latency["first"] = 60.0
                await _reads(workspace, "first", 1)
            callers.send(1)
            await eventually(lambda: any(second.statistics().waiting.values()))
            await leaving.go()
        workspace.limit = 1
        assert await eventually(lambda: callers.arrived) < 2 * TTL + SLACK
        await callers.go()


async def test_there_is_one_reading_per_ttl_however_many_wait(
    redis_url: str, workspace_key: str
) -> None:
    """The provider would be asked by every worker, and refuse them all in the end."""
    keys = [f"worker_{number}" for number in range(5)]
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        AsyncExitStack() as gates,
    ):
        crowds = []
        opened = []
        for key in keys:
            # A `min_interval` as long, so that evidence makes all ask at once, and brings nothing.
            gate = await gates.enter_async_context(
                sharing(workspace, ledger, key, min_interval=TTL)
            )
            opened.append(gate)
            callers = Callers(gate)
            callers.send(4)
            crowds.append(callers)
        # Each may be noted late, on a busy machine, but none before its turn.
        before, began = len(workspace.asked), asyncio.get_running_loop().time()
        while len(workspace.asked) < before + 15:
            for gate in opened:
                gate.note_ended("call_1")
            await asyncio.sleep(TTL / 4)
        assert workspace.asked[before + 14][1] - began > 12 * TTL
        for callers in crowds:
            await callers.go()


async def test_a_slow_reading_does_not_overwrite_a_newer_one(
    redis_url: str, workspace_key: str
) -> None:
    """Calls would be admitted by what the counter showed long ago."""
    seen: list[int] = []

    def note(event: Event) -> None:
        if isinstance(event, ReadingTaken):
            seen.append(event.snapshot.limits.current_concurrency)

    async with provider(limit=3) as workspace:
        workspace.current = 3
        async with (
            RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
            Redis.from_url(redis_url) as client,
            sharing(workspace, ledger, "quick", listener=note) as quick,
            sharing(workspace, ledger, "slow", listener=note) as slow,
        ):
            callers = Callers(slow), Callers(quick)
            callers[0].send(1)
            await _reads(workspace, "slow", 2)
            workspace.latency["slow"] = latency = 6 * TTL
            await _reads(workspace, "slow", 1)
            answered_at = workspace.asked[-1][1] + latency
            workspace.current = 9
            callers[1].send(1)
            await eventually(lambda: 9 in seen)
            while workspace.asked_after(answered_at).count("quick") < 3:
                assert (await contents(client, workspace_key)).reported == 9
            assert 3 not in seen[seen.index(9) :]
            assert slow.statistics().usage.reported == 9
            for crowd in callers:
                await crowd.go()


async def test_a_worker_that_can_not_read_does_not_keep_the_others_from_it(
    redis_url: str, workspace_key: str
) -> None:
    """One worker without a way to the provider would stop all."""
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, "well") as well,
        sharing(workspace, ledger, "cut_off") as cut_off,
    ):
        callers = Callers(cut_off), Callers(well)
        callers[0].send(1)
        await _reads(workspace, "cut_off", 2)
        workspace.failing.add("cut_off")
        callers[1].send(1)
        await _reads(workspace, "well", 3)
        workspace.limit = 2
        for crowd in callers:
            await crowd.have_arrived(1)
        for crowd in callers:
            await crowd.go()


async def _reads(workspace: Provider, key: str, more: int) -> None:
    """Wait until the worker with this key has asked so many times more."""
    before = len(workspace.asked)
    await eventually(lambda: [asker for asker, _ in workspace.asked[before:]].count(key) >= more)
