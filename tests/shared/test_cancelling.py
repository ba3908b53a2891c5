"""Cancelling at every step leaves nothing behind, here or on the server."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from callguard import Gate, Permit, RedisLedger
from callguard.testing import RedisServer
from tests.shared.provider import Provider, provider
from tests.shared.support import Callers, contents, eventually, sharing

ENOUGH = 10
"""Visits that got in before they were cancelled, so that all steps before have been tried."""

STEPS = 60
"""Of the event loop, in which a gate closes on an idle machine."""


async def _admit(gate: Gate, inside: Callable[[Permit], None]) -> None:
    async with gate.admit() as permit:
        inside(permit)
        permit.cancel()


async def _try_admit(gate: Gate, inside: Callable[[Permit], None]) -> None:
    async with gate.try_admit() as permit:
        inside(permit)
        permit.cancel()


async def _stay(gate: Gate, inside: Callable[[Permit], None]) -> None:
    async with gate.admit() as permit:
        inside(permit)
        try:
            await asyncio.Event().wait()
        finally:
            permit.cancel()


@pytest.mark.parametrize("visit", [_admit, _try_admit, _stay])
async def test_a_caller_cancelled_at_any_step_leaves_nothing(
    redis_url: str,
    workspace_key: str,
    visit: Callable[[Gate, Callable[[Permit], None]], Awaitable[None]],
) -> None:
    """A slot would be held by nobody, or callers wait behind others who are not there."""
    entered: list[Permit] = []
    cut_short = 0
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
    ):
        async with sharing(workspace, ledger, ttl=2.0) as gate:
            step = 0
            while len(entered) < ENOUGH:
                before = len(entered)
                visiting = asyncio.ensure_future(visit(gate, entered.append))
                await _turns(step)
                visiting.cancel()
                with suppress(asyncio.CancelledError):
                    await visiting
                cut_short += len(entered) == before
                await eventually(lambda: _nothing_is_left(client, workspace_key))
                step += 1
        assert await _nobody_is_left(client, workspace_key)
    assert cut_short, "no visit was cancelled in the queue"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_dial_cancelled_at_any_step_counts_as_placed_until_a_reading_shows_it(
    redis_url: str, workspace_key: str
) -> None:
    """A call that was dialled would be forgotten, or one that was not be counted for good."""
    entered: list[Permit] = []

    async def dial(gate: Gate) -> None:
        async with gate.admit() as permit:
            entered.append(permit)
            await asyncio.Event().wait()

    async with (
        provider(limit=200) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
    ):
        async with sharing(workspace, ledger) as gate:
            step = 0
            while len(entered) < ENOUGH:
                step += 1
                dialling = asyncio.create_task(dial(gate))
                await _turns(step)
                dialling.cancel()
                with suppress(asyncio.CancelledError):
                    await dialling
            await eventually(lambda: not gate.statistics().usage.dialling)
            await eventually(lambda: _nobody_dials(client, workspace_key))
            counted = await contents(client, workspace_key)
            assert counted.uncounted <= {permit.id for permit in entered}
            workspace.current = 200
            waiting = Callers(gate)
            waiting.send(1)
            await eventually(lambda: gate.statistics().usage.reported == 200)
            waiting.send(1)

            async def nothing_is_held() -> bool:
                for permit in waiting.arrived:  # by the snapshot before
                    permit.cancel()
                return (await contents(client, workspace_key)).held == (0, 0)

            await eventually(nothing_is_held)
            await waiting.go()
        assert await _nobody_is_left(client, workspace_key)


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
async def test_closing_that_is_cancelled_leaves_no_task_and_no_socket(
    own_redis: RedisServer, workspace_key: str, hangs: bool
) -> None:
    """A service that is shut down in a hurry would leak a connection each time."""
    async with provider(limit=1) as workspace, Redis.from_url(own_redis.url) as client:
        await client.ping()
        for step in range(0, STEPS, 12 if hangs else 3):
            leaving = asyncio.Event()
            closing = asyncio.create_task(
                _open_until(leaving, workspace, own_redis.url, workspace_key)
            )
            await eventually(lambda: _connections(client, 3))
            if hangs:
                own_redis.pause()
            leaving.set()
            await _turns(step)
            closing.cancel()
            with suppress(asyncio.CancelledError):
                await closing
            if hangs:
                own_redis.resume()
            ours = [task for task in asyncio.all_tasks() if task.get_name().startswith("callguard")]
            assert ours == []
            with warnings.catch_warnings():
                warnings.simplefilter("error", ResourceWarning)
                gc.collect()
            await eventually(lambda: _connections(client, 1))


async def _open_until(
    leaving: asyncio.Event, workspace: Provider, redis_url: str, name: str
) -> None:
    async with (
        RedisLedger.from_url(redis_url, name=name, lease=0.4, timeout=0.2) as ledger,
        sharing(workspace, ledger) as gate,
    ):
        async with gate.admit():
            await leaving.wait()


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _nothing_is_left(client: Redis, workspace: str) -> bool:
    found = await contents(client, workspace)
    return (found.held, found.claims) == ((0, 0), frozenset())


async def _nobody_dials(client: Redis, workspace: str) -> bool:
    return not (await contents(client, workspace)).dialling


async def _nobody_is_left(client: Redis, workspace: str) -> bool:
    found = await contents(client, workspace)
    return not (any(found.held) or found.claims or found.workers or found.labelled)


async def _connections(client: Redis, number: int) -> bool:
    return len(await client.client_list()) == number
