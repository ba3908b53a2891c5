"""A gate that closes leaves nothing behind, here or on the server."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from tests.shared.provider import Provider, provider
from tests.shared.support import PATIENCE, Callers, contents, sharing

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("socket_timeout", [None, 5.0])
async def test_closing_at_any_moment_ends(
    redis_url: str, workspace_key: str, socket_timeout: float | None
) -> None:
    """A gate would never close, because a client swallows the cancellation of what it sends."""
    async with (
        provider(limit=5) as workspace,
        Redis.from_url(redis_url, socket_timeout=socket_timeout) as client,
    ):
        ledger = RedisLedger(client, name=workspace_key, lease=0.03, timeout=0.015)
        for steps in range(100):
            opened = asyncio.create_task(_open_for(steps, workspace, ledger))
            ended, _ = await asyncio.wait([opened], timeout=PATIENCE / 3)
            if not ended:
                left = [task.get_name() for task in asyncio.all_tasks()]
                opened.cancel()
                await _end_all_others()
                pytest.fail(f"closing after {steps} steps hangs: {left}")
            await opened
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_that_happened_is_told_before_the_gate_leaves(
    redis_url: str, workspace_key: str
) -> None:
    """Slots that were given back would count as calls, if there were more than one batch holds."""
    async with (
        provider(limit=4000) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
    ):
        async with sharing(workspace, ledger, ring_limit=60.0) as gate:
            callers = Callers(gate)
            callers.send(2500)
            for permit in await callers.have_arrived(2500):
                permit.cancel()
        await callers.go()
        left = await contents(client, workspace_key)
        assert (left.held, left.workers, left.claims) == ((0, 0), frozenset(), frozenset())


async def _open_for(steps: int, workspace: Provider, ledger: RedisLedger) -> None:
    async with sharing(workspace, ledger):
        for _ in range(steps):
            await asyncio.sleep(0)


async def _end_all_others() -> None:
    """Cancel what is left until it has ended, however often it takes that for something else."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=0.1)
