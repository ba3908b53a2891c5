"""The provider is away: its gates ask together, seldom, and open all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest

from callguard import Gate, LimitsRejected, RedisLedger, open_gate
from callguard.gate.opening import OPENS_WITHIN
from callguard.pauses import pause
from tests.shared.provider import Provider, provider
from tests.shared.support import TTL, Callers, eventually, sharing
from tests.support.fake_network import FakeSession, Reply, hang, limits_reply

SLACK = 4.0
"""Seconds that a busy machine may take for what takes milliseconds: less than the longest pause."""

SLOP = 0.15
"""Seconds by which a request may come late, and the next one not."""


@asynccontextmanager
async def several(
    number: int, ledger: RedisLedger, workspace: Provider, **arguments: object
) -> AsyncIterator[list[Gate]]:
    """Gates that open at once, as those of so many workers do, each with a key of its own."""
    async with AsyncExitStack() as stack:
        gates = [sharing(workspace, ledger, f"key_{each}", **arguments) for each in range(number)]
        opened = await asyncio.gather(*(gate.__aenter__() for gate in gates))
        for gate in gates:
            stack.push_async_exit(gate)
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("gates", [1, 6])
async def test_all_gates_together_ask_once_a_pause_that_grows(
    redis_url: str, workspace_key: str, gates: int
) -> None:
    """Each worker would hammer a provider that is down with first tries of its own."""
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):
        workspace.failing |= {f"key_{number}" for number in range(gates)}
        async with several(gates, ledger, workspace) as opened:
            crowds = [Callers(gate) for gate in opened]
            for callers in crowds:
                callers.send(2)
            await eventually(lambda: len(workspace.asked) >= 5)
            gaps = [then - now for (_, now), (_, then) in pairwise(workspace.asked)]
            for failures, gap in enumerate(gaps[:4], 1):
                assert pause(TTL, failures) - SLOP < gap < pause(TTL, failures) + SLACK
            for callers in crowds:
                await callers.go()


@pytest.mark.slow
async def test_nobody_else_asks_while_a_worker_still_waits_for_an_answer(
    redis_url: str, workspace_key: str
) -> None:
    """A provider that hangs would get one more request to hang on every two ttl."""
    keys = [f"key_{number}" for number in range(4)]
    async with (
        provider(limit=0) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):
        workspace.latency.update(dict.fromkeys(keys, 60.0))
        async with several(4, ledger, workspace, ttl=1.0) as opened:
            crowds = [Callers(gate) for gate in opened]
            for callers in crowds:
                callers.send(1)
            began = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() > began + 2.5)
            assert len(workspace.asked) == 1
            for callers in crowds:
                await callers.go()


@pytest.mark.slow
async def test_after_an_outage_callers_are_admitted_within_the_longest_pause(
    redis_url: str, workspace_key: str
) -> None:
    """Callers would wait for a worker that has given up, or that nobody has told."""
    async with (
        provider(limit=6) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):
        workspace.failing |= {f"key_{number}" for number in range(3)}
        async with several(3, ledger, workspace) as opened:
            crowds = [Callers(gate) for gate in opened]
            for callers in crowds:
                callers.send(1)
            await eventually(lambda: len(workspace.asked) >= 4)
            workspace.failing.clear()
            over_at = asyncio.get_running_loop().time()
            for callers in crowds:
                await callers.have_arrived(1)
            assert asyncio.get_running_loop().time() - over_at < pause(TTL, 5) + SLACK
            for callers in crowds:
                await callers.go()


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["answers 503", "nothing listens", "never answers"])
async def test_however_many_gates_open_none_waits_long_for_the_provider(
    redis_url: str, workspace_key: str, nowhere: str, outage: str
) -> None:
    """Workers that are started in an outage would be killed by whoever watches their start."""
    session = FakeSession(hang if outage == "never answers" else lambda *_: Reply(503))
    where: dict[str, object] = {"session": session}
    if outage == "nothing listens":
        where = {"base_url": nowhere}
    loop = asyncio.get_running_loop()
    async with RedisLedger.from_url(redis_url) as ledger, AsyncExitStack() as stack:
        opening = [open_gate(workspace_key, ledger=ledger, **where) for _ in range(12)]  # type: ignore[arg-type]
        began = loop.time()
        opened = await asyncio.gather(*(gate.__aenter__() for gate in opening))
        seconds = loop.time() - began
        for gate in opening:
            stack.push_async_exit(gate)
        assert seconds < OPENS_WITHIN + SLACK
        assert {gate.explain().constraint for gate in opened} == {"no snapshot"}


async def test_a_worker_of_another_key_does_not_fail_with_one_whose_key_is_refused(
    redis_url: str, workspace_key: str
) -> None:
    """One withdrawn key would fail the callers of all workers, or keep them from reading."""
    refused = FakeSession(lambda *_: Reply(401))
    good = FakeSession(lambda *_: limits_reply(1, 1))
    async with (
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        open_gate("key_good", session=good, ledger=ledger, ttl=TTL) as gate,
        open_gate("key_refused", session=refused, ledger=ledger, ttl=TTL) as other,
    ):
        callers, others = Callers(gate), Callers(other)
        callers.send(1)
        others.send(1)
        await eventually(lambda: len(good.requests) >= 6)
        assert not callers.arrived
        assert gate.statistics().readings["rejected"] == 0
        await callers.go()
        await others.go()


async def test_a_key_that_is_refused_twice_fails_the_callers_of_all_its_workers(
    redis_url: str, workspace_key: str
) -> None:
    """The callers of the last worker would wait until it has been refused itself, twice."""
    replies = [limits_reply(1, 1)]
    sessions = [FakeSession(lambda *_: replies[0]) for _ in range(4)]
    async with (
        RedisLedger.from_url(redis_url) as ledger,
        AsyncExitStack() as stack,
    ):
        gates = [
            await stack.enter_async_context(
                open_gate(workspace_key, session=session, ledger=ledger, ttl=TTL)
            )
            for session in sessions
        ]

        async def refused(gate: Gate) -> None:
            with pytest.raises(LimitsRejected):
                async with gate.admit():
                    pass

        waiting = [asyncio.create_task(refused(gate)) for gate in gates]
        await eventually(lambda: sum(len(session.requests) for session in sessions) >= 3)
        before = sum(len(session.requests) for session in sessions)
        replies[0] = Reply(401)
        await asyncio.gather(*waiting)
        assert sum(len(session.requests) for session in sessions) <= before + 4
