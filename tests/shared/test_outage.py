"""The provider is away: its gates ask together, seldom, and open all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from callguard import Gate, LimitsRejected, RedisLedger, open_gate
from callguard.backoff import backoff
from callguard.gate.opening import OPENS_WITHIN
from callguard.ledger.redis.keys import Names
from tests.shared.support import TTL, Callers, eventually
from tests.support.bent_client import Line
from tests.support.bent_server import BentServer
from tests.support.fake_network import FakeSession, Reply, hang, limits_reply
from tests.support.virtual_time import jumping

YIELDS = 0.25
"""Seconds for which a worker that has failed lets others go first, and some for an exchange."""

Joins = Callable[[], RedisLedger]


@pytest.fixture
def joins(redis_url: str, workspace_key: str) -> Iterator[Joins]:
    """One more worker's ledger on the same server, which goes by the clock that jumps."""
    lines: list[Line] = []
    with Redis.from_url(redis_url) as client:
        server = BentServer(client, Names(workspace_key))

        def join() -> RedisLedger:
            line: Any = Line(server, lines)
            return RedisLedger(line, name=workspace_key)

        yield join
        server.forget()


@asynccontextmanager
async def several(number: int, joins: Joins, **arguments: Any) -> AsyncIterator[list[Gate]]:
    """Gates that open at once, as those of so many workers do."""
    settings = {"ttl": TTL, **arguments}
    async with AsyncExitStack() as stack:
        gates = [open_gate("key_here", ledger=joins(), **settings) for _ in range(number)]
        opened = await asyncio.gather(*(gate.__aenter__() for gate in gates))
        for gate in gates:
            stack.push_async_exit(gate)
        yield opened


@pytest.mark.parametrize("gates", [1, 6])
@jumping
async def test_all_gates_together_ask_once_a_pause_that_grows(joins: Joins, gates: int) -> None:
    """Each worker would hammer a provider that is down with first tries of its own."""
    session = FakeSession(lambda *_: Reply(500))
    async with several(gates, joins, session=session) as opened:
        crowds = [Callers(gate) for gate in opened]
        for callers in crowds:
            callers.send(2)
        await eventually(lambda: len(session.requests) >= 5)
        gaps = [then.at - now.at for now, then in pairwise(session.requests)]
        for failures, gap in enumerate(gaps[:4], 1):
            assert backoff(TTL, failures) <= gap < backoff(TTL, failures) + YIELDS
        for callers in crowds:
            await callers.go()


@jumping
async def test_nobody_else_asks_while_a_worker_still_waits_for_an_answer(joins: Joins) -> None:
    """A provider that hangs would get one more request to hang on every two ttl."""
    session = FakeSession(hang)
    async with several(4, joins, session=session, ttl=1.0) as opened:
        crowds = [Callers(gate) for gate in opened]
        for callers in crowds:
            callers.send(1)
        await asyncio.sleep(2.5)
        assert len(session.requests) == 1
        for callers in crowds:
            await callers.go()


@jumping
async def test_after_an_outage_callers_are_admitted_within_the_longest_pause(joins: Joins) -> None:
    """Callers would wait for a worker that has given up, or that nobody has told."""
    replies = [Reply(500)]
    session = FakeSession(lambda *_: replies[0])
    async with several(3, joins, session=session, cps=None) as opened:
        crowds = [Callers(gate) for gate in opened]
        for callers in crowds:
            callers.send(1)
        await eventually(lambda: len(session.requests) >= 4)
        replies[0] = limits_reply(0, 6)
        over_at = asyncio.get_running_loop().time()
        for callers in crowds:
            await callers.have_arrived(1)
        assert asyncio.get_running_loop().time() - over_at < backoff(TTL, 4) + YIELDS
        for callers in crowds:
            await callers.go()


@pytest.mark.parametrize("outage", ["answers 503", "nothing listens", "never answers"])
@jumping
async def test_however_many_gates_open_none_waits_long_for_the_provider(
    joins: Joins, nowhere: str, outage: str
) -> None:
    """Workers that are started in an outage would be killed by whoever watches their start."""
    session = FakeSession(hang if outage == "never answers" else lambda *_: Reply(503))
    where = {"base_url": nowhere} if outage == "nothing listens" else {"session": session}
    began = asyncio.get_running_loop().time()
    async with several(12, joins, **where) as opened:
        assert asyncio.get_running_loop().time() - began <= OPENS_WITHIN + TTL
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
