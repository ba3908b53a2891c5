"""Ends that free at once, at gates on one ledger and a real server.

What a stamp proves is tested elsewhere; here a call surely ended after all that its gate heard.
"""

from __future__ import annotations

import asyncio
from functools import partial

from callguard import Gate
from callguard.decision import Usage
from callguard.testing import ScriptedSource
from tests.shared import beliefs
from tests.shared.beliefs import believing, both_believing, dial, is_full, lose_the_belief, read
from tests.shared.support import eventually

LIMIT = 5

on = partial(believing, ends_free_at_once=True)
both_on = partial(both_believing, ends_free_at_once=True)


async def ended(gate: Gate, *calls: int) -> None:
    """Calls are over, after all that the gate has heard of; the ledger has heard of it."""
    now = asyncio.get_running_loop().time()
    for number in calls:
        gate._parts.ledger.note_ended(f"call_{number}", now, now)
    await is_full(gate)


async def usage(url: str, name: str, gate: Gate) -> Usage:
    """The usage, once the gate has heard what the ledger has."""
    await is_full(gate)
    return await beliefs.usage(url, name, gate)


async def test_an_end_that_one_gate_hears_of_makes_room_at_all(
    redis_url: str, workspace_key: str
) -> None:
    """A slot would stay taken until the count falls, or each gate would go by another usage."""
    script = ScriptedSource(limit=LIMIT)
    async with both_on(redis_url, workspace_key, script) as (one, other):
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
    async with both_on(redis_url, workspace_key, script) as (one, other):
        await dial(one, script, 1, 2, 3, 4, 5)
        await read(one, script, LIMIT)
        waiting = asyncio.create_task(dial(other, script, 6))
        await eventually(lambda: other.statistics().waiting["default"])
        await ended(one, 1)
        await waiting


async def test_a_gate_without_it_goes_by_the_count(redis_url: str, workspace_key: str) -> None:
    """It would dial by a belief that it was not set to have."""
    script = ScriptedSource(limit=LIMIT)
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script, ends_free_at_once=False) as plain,
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
    async with both_on(redis_url, workspace_key, script) as (one, other):
        await dial(one, script, 1, 2, 3, 4, 5)
        await read(one, script, LIMIT)
        await ended(one, 1)
        lost = await lose_the_belief(redis_url, workspace_key, one, other)
        assert lost == ["ends_free_at_once"]
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
    async with on(redis_url, workspace_key, script, reserved_inbound="outbound") as gate:
        await dial(gate, script, 1, 2, 3)
        await read(gate, script, 4)
        seen = await usage(redis_url, workspace_key, gate)
        assert (seen.own, seen.others, seen.ended) == (3, 1, 0)
        await ended(gate, 1)
        seen = await usage(redis_url, workspace_key, gate)
        assert (seen.own, seen.others, seen.ended) == (2, 1, 1)
