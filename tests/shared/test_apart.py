"""Inbound calls that are counted apart, at gates on one ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from redis.asyncio import Redis

import callguard
from callguard import Gate, NoHeadroom, RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.testing import ScriptedSource
from tests.shared.support import eventually

LIMIT, RESERVED = 10, 3


def source() -> ScriptedSource:
    script = ScriptedSource(limit=LIMIT)
    script.answer(LIMIT, reserved_inbound=RESERVED)
    return script


class Refusal(Exception):
    """The provider's no."""


@asynccontextmanager
async def on(
    url: str,
    name: str,
    script: ScriptedSource,
    reserved_inbound: Literal["total", "outbound"] = "outbound",
    trunks: tuple[callguard.Trunk, ...] = (),
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
            reserved_inbound=reserved_inbound,
            refused=lambda error: isinstance(error, Refusal),
            trunks=trunks,
        ) as gate,
    ):
        yield gate


async def dial(gate: Gate, script: ScriptedSource, *calls: int, trunk: str | None = None) -> None:
    """Place calls, each of which the provider counts at once."""
    for number in calls:
        async with gate.admit(trunk=trunk, timeout=5.0) as permit:
            counted = script.limits.current_concurrency + 1
            script.answer(LIMIT, counted, reserved_inbound=RESERVED)
            permit.placed(f"call_{number}")


async def read(gate: Gate, script: ScriptedSource, current: int) -> None:
    """Have the ledger read a count that surely shows all calls from before."""
    script.answer(LIMIT, current, reserved_inbound=RESERVED)

    async def is_counted() -> bool:
        await gate._parts.schedule.renew()
        usage = gate.statistics().usage
        return (usage.reported, usage.dialling, usage.uncounted) == (current, 0, 0)

    await eventually(is_counted)


async def whose(url: str, name: str, gate: Gate) -> tuple[int | None, int | None]:
    """Own calls and others', which a gate and a look at the ledger have to tell alike."""
    async with RedisLedger.from_url(url, name=name) as ledger:
        seen = (await ledger.look("key")).usage
    assert gate.statistics().usage == seen
    return seen.own, seen.others


async def given_up(url: str, name: str) -> list[str]:
    """The settings that a look at the ledger finds to have been given up."""
    async with RedisLedger.from_url(url, name=name) as ledger:
        return (await ledger.look("key")).given_up


async def reads_that_it_is_given_up(gate: Gate) -> bool:
    """Whether a gate knows so; one where nobody waits learns of it with its next snapshot."""
    await gate._parts.schedule.renew()
    return bool(gate.statistics().given_up)


async def is_full(gate: Gate) -> bool:
    try:
        async with gate.try_admit() as permit:
            permit.cancel()
    except NoHeadroom:
        return True
    return False


async def test_gates_on_one_ledger_use_outbounds_share_together(
    redis_url: str, workspace_key: str
) -> None:
    """Each gate would dial its own share, or an inbound call would cost both an outbound one."""
    script = source()
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
    ):
        await dial(one, script, 1, 2, 3, 4)
        await dial(other, script, 5, 6, 7)
        assert await is_full(one)
        await read(one, script, 7)
        assert await is_full(one)
        assert await is_full(other)
        await read(one, script, 9)
        assert await is_full(other)
        assert await whose(redis_url, workspace_key, one) == (7, 2)
        other.note_ended("call_1")
        await dial(other, script, 8)
        assert await is_full(one)
        assert await is_full(other)


async def test_calls_on_trunks_that_fill_are_own_calls_too(
    redis_url: str, workspace_key: str
) -> None:
    """They would be left out, or be counted twice."""
    script, trunk = source(), callguard.Trunk("narrow", cps=None, calls=5)
    async with on(redis_url, workspace_key, script, trunks=(trunk,)) as gate:
        await dial(gate, script, 1, 2, 3, trunk="narrow")
        await dial(gate, script, 4, 5, 6, 7)
        await read(gate, script, 9)
        assert await is_full(gate)
        gate.note_ended("call_1")
        gate.note_ended("call_4")
        await dial(gate, script, 8)
        assert await is_full(gate), "nine are counted, and one is on its way"
        await read(gate, script, 8)
        await dial(gate, script, 9)
        assert await is_full(gate)


async def test_a_refusal_at_one_gate_ends_the_belief_at_all(
    redis_url: str, workspace_key: str
) -> None:
    """Each gate would have its own call refused for the same wrong belief."""
    script = source()
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
    ):
        await dial(one, script, 1, 2, 3, 4)
        await read(one, script, 7)
        assert not await is_full(other)
        assert await given_up(redis_url, workspace_key) == []
        with pytest.raises(Refusal):
            async with one.admit():
                raise Refusal
        assert one.statistics().given_up == ["reserved_inbound"]
        await eventually(lambda: reads_that_it_is_given_up(other))
        assert await given_up(redis_url, workspace_key) == ["reserved_inbound"]
        assert one.statistics().usage.others is None
        assert "; reserved_inbound was given up at a refusal" in str(other.explain())
        assert await is_full(one)
        assert await is_full(other)
    async with on(redis_url, workspace_key, script) as later:
        await read(later, script, 7)
        assert await is_full(later), "for as long as the ledger lives"


async def test_a_ledger_that_forgot_the_refusal_hears_of_it_again(
    redis_url: str, workspace_key: str
) -> None:
    """Each loss of the ledger would cost one more refused dial, once its own calls are known."""
    script = source()
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script) as other,
        Redis.from_url(redis_url) as client,
    ):
        await dial(one, script, 1, 2)
        with pytest.raises(Refusal):
            async with one.admit():
                raise Refusal
        await eventually(lambda: reads_that_it_is_given_up(other))
        await one.aclose()
        await client.delete(Names(workspace_key).keys[0])

        async def hears_of_it() -> bool:
            return await given_up(redis_url, workspace_key) == ["reserved_inbound"]

        await eventually(hears_of_it)


async def test_a_refusal_is_forgotten_with_the_ledger(redis_url: str, workspace_key: str) -> None:
    """One refused dial, of whatever cause, would end a setting for good, and none could undo it."""
    script = source()
    async with Redis.from_url(redis_url) as client:
        async with on(redis_url, workspace_key, script) as gate:
            with pytest.raises(Refusal):
                async with gate.admit():
                    raise Refusal
        keys = Names(workspace_key).keys
        hour, longest_call = 3600.0, 7230.0
        assert hour < await client.pttl(keys[0]) / 1000 <= hour + longest_call
        await client.delete(*keys)  # as they expire
        async with on(redis_url, workspace_key, script) as later:
            await dial(later, script, 1, 2)
            assert await given_up(redis_url, workspace_key) == []
            assert later.statistics().given_up == []


async def test_a_gate_that_counts_all_together_makes_all_do_so(
    redis_url: str, workspace_key: str
) -> None:
    """Its calls would be taken for inbound ones."""
    script = source()
    async with (
        on(redis_url, workspace_key, script) as one,
        on(redis_url, workspace_key, script, "total") as other,
    ):
        await dial(one, script, 1, 2, 3, 4)
        await read(one, script, 6)
        assert not await is_full(one)
        await dial(other, script, 5)
        assert await is_full(one)
        assert one.statistics().given_up == []
        assert await whose(redis_url, workspace_key, one) == (None, None)


async def test_calls_from_before_the_ledger_may_be_outbound_ones(
    redis_url: str, workspace_key: str
) -> None:
    """All workers that are started anew with an empty ledger would dial a second share."""
    script = source()
    script.answer(LIMIT, 7, reserved_inbound=RESERVED)
    async with on(redis_url, workspace_key, script) as gate:
        await read(gate, script, 7)
        assert await is_full(gate)
        await read(gate, script, 5)
        await read(gate, script, 7)
        await dial(gate, script, 1, 2)
        assert await is_full(gate)


async def test_who_counts_all_together_gives_nothing_up(redis_url: str, workspace_key: str) -> None:
    """People would be warned of a setting that no gate has, or read that no call is ours."""
    script = source()
    async with on(redis_url, workspace_key, script, "total") as gate:
        await dial(gate, script, 1, 2)
        with pytest.raises(Refusal):
            async with gate.admit():
                raise Refusal
        await read(gate, script, 2)
        assert await given_up(redis_url, workspace_key) == []
        assert await whose(redis_url, workspace_key, gate) == (None, None)
