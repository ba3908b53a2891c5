"""Ends that free at once, at gates on one ledger and a real server.

What a stamp proves is tested elsewhere; here a call surely ended after all that its gate heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import callguard
from callguard import Gate, NoHeadroom, RedisLedger
from callguard.decision import Usage
from callguard.ledger.redis.holders import Contents
from callguard.testing import ScriptedSource
from tests.shared.support import eventually

LIMIT = 5


class Refusal(Exception):
    """The provider's no."""


@asynccontextmanager
async def on(
    url: str, name: str, script: ScriptedSource, *, ends_free: bool = True, apart: bool = False
) -> AsyncIterator[Gate]:
    async with (
        RedisLedger.from_url(url, name=name) as ledger,
        callguard.open_gate(
            source=script,
            ledger=ledger,
            cps=None,
            ttl=0.1,
            counter_lag=0.05,
            counts_ringing=True,
            ends_free_at_once=ends_free,
            reserved_inbound="outbound" if apart else "total",
            refused=lambda error: isinstance(error, Refusal),
        ) as gate,
    ):
        yield gate


async def dial(gate: Gate, script: ScriptedSource, *calls: int) -> None:
    """Place calls, each of which the provider counts at once."""
    for number in calls:
        async with gate.admit(timeout=5.0) as permit:
            script.answer(LIMIT, script.limits.current_concurrency + 1)
            permit.placed(f"call_{number}")


async def read(gate: Gate, script: ScriptedSource, current: int) -> None:
    """Have the ledger read a count that surely shows all calls from before."""
    script.answer(LIMIT, current)

    async def is_counted() -> bool:
        await gate._parts.schedule.renew()
        usage = gate.statistics().usage
        return (usage.reported, usage.dialling, usage.uncounted) == (current, 0, 0)

    await eventually(is_counted)


async def ended(gate: Gate, *calls: int) -> None:
    """Calls are over, after all that the gate has heard of; the ledger has heard of it."""
    now = asyncio.get_running_loop().time()
    for number in calls:
        gate._parts.ledger.note_ended(f"call_{number}", now, now)
    await is_full(gate)


async def look(url: str, name: str) -> Contents:
    async with RedisLedger.from_url(url, name=name) as ledger:
        return await ledger.look("key")


async def usage(url: str, name: str, gate: Gate) -> Usage:
    """The usage, which a gate and a look at the ledger have to tell alike."""
    await is_full(gate)
    seen = (await look(url, name)).usage
    assert gate.statistics().usage == seen
    return seen


async def is_full(gate: Gate) -> bool:
    try:
        async with gate.try_admit() as permit:
            permit.cancel()
    except NoHeadroom:
        return True
    return False


async def test_an_end_that_one_gate_hears_of_makes_room_at_all(
    redis_url: str, workspace_key: str
) -> None:
    """A slot would stay taken until the count falls, or each gate would go by another usage."""
    script = ScriptedSource(limit=LIMIT)
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
    ):
        await dial(one, script, 1, 2, 3)
        await dial(other, script, 4, 5)
        await read(one, script, LIMIT)
        assert await is_full(other)
        await is_full(one)
        await ended(one, 4)
        seen = await usage(redis_url, workspace_key, other)
        assert (seen.reported, seen.ended, seen.total) == (LIMIT, 1, LIMIT - 1)
        assert (seen.own, seen.others) == (LIMIT - 1, 0)
        assert "1 of them" in str(other.explain())
        await dial(other, script, 6)
        assert await is_full(one)
        assert await is_full(other)


async def test_a_caller_that_waits_goes_as_a_call_ends_at_another_gate(
    redis_url: str, workspace_key: str
) -> None:
    """It would wait for a reading that misses the call."""
    script = ScriptedSource(limit=LIMIT)
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
    ):
        await dial(one, script, 1, 2, 3, 4, 5)
        await read(one, script, LIMIT)
        script.answer(LIMIT, LIMIT)
        waiting = asyncio.create_task(dial(other, script, 6))
        await eventually(lambda: other.statistics().waiting["default"])
        await ended(one, 1)
        await waiting


async def test_a_gate_without_it_goes_by_the_count(redis_url: str, workspace_key: str) -> None:
    """It would dial by a belief that it was not set to have."""
    script = ScriptedSource(limit=LIMIT)
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script, ends_free=False) as plain,
    ):
        await dial(one, script, 1, 2, 3, 4, 5)
        await read(one, script, LIMIT)
        await read(plain, script, LIMIT)
        await ended(one, 1)
        assert await is_full(plain)
        assert plain.statistics().usage.ended == 0
        assert plain.statistics().given_up == []


async def test_a_refusal_at_one_gate_ends_the_belief_at_all(
    redis_url: str, workspace_key: str
) -> None:
    """Each gate would have its own call refused for the same wrong belief."""
    script = ScriptedSource(limit=LIMIT)
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
    ):
        await dial(one, script, 1, 2, 3, 4, 5)
        await read(one, script, LIMIT)
        await ended(one, 1)
        assert (await look(redis_url, workspace_key)).given_up == []
        with pytest.raises(Refusal):
            async with one.admit():
                raise Refusal
        assert one.statistics().given_up == ["ends_free_at_once"]

        async def knows() -> bool:
            await other._parts.schedule.renew()
            return other.statistics().given_up == ["ends_free_at_once"]

        await eventually(knows)
        assert (await look(redis_url, workspace_key)).given_up == ["ends_free_at_once"]
        await read(one, script, LIMIT)
        await ended(one, 2)
        assert await is_full(one)
        assert await is_full(other)
    async with on(redis_url, workspace_key, script) as later:
        await read(later, script, LIMIT)
        await ended(later, 3)
        assert await is_full(later), "for as long as the ledger lives"


async def test_both_beliefs_on_one_ledger(redis_url: str, workspace_key: str) -> None:
    """An ended call would be an inbound one, or be left out of the usage twice."""
    script = ScriptedSource(limit=LIMIT)
    async with on(redis_url, workspace_key, script, apart=True) as gate:
        await dial(gate, script, 1, 2, 3)
        await read(gate, script, 4)
        seen = await usage(redis_url, workspace_key, gate)
        assert (seen.own, seen.others, seen.ended) == (3, 1, 0)
        await ended(gate, 1)
        seen = await usage(redis_url, workspace_key, gate)
        assert (seen.own, seen.others, seen.ended) == (2, 1, 1)
