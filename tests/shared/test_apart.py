"""Inbound calls that are counted apart, at gates on one ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Literal

import pytest
from redis.asyncio import Redis

import callguard
from callguard import Gate, NoHeadroom, RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.testing import RedisServer, ScriptedSource
from tests.shared.support import Callers, eventually
from tests.support.tcp_proxy import TcpProxy

LIMIT, RESERVED = 10, 3


def source() -> ScriptedSource:
    script = ScriptedSource(limit=LIMIT)
    script.answer(LIMIT, reserved_inbound=RESERVED)
    return script


class Refusal(Exception):
    """The provider's no."""


@asynccontextmanager
async def on(
    at: str | RedisLedger,
    name: str,
    script: ScriptedSource,
    reserved_inbound: Literal["total", "outbound"] = "outbound",
    trunks: tuple[callguard.Trunk, ...] = (),
) -> AsyncIterator[Gate]:
    async with (
        nullcontext(at)
        if isinstance(at, RedisLedger)
        else RedisLedger.from_url(at, name=name) as ledger,
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


@asynccontextmanager
async def with_a_share(
    redis: RedisServer, name: str, script: ScriptedSource, **how: Any
) -> AsyncIterator[tuple[Gate, TcpProxy]]:
    """A gate that admits some calls by itself while the proxy keeps it from the server."""
    async with (
        TcpProxy("127.0.0.1", redis.port) as proxy,
        RedisLedger.from_url(proxy.url(), name=name, local_share=9, timeout=0.5) as ledger,
        on(ledger, name, script, **how) as gate,
    ):
        yield gate, proxy


async def is_cut_off(gate: Gate, proxy: TcpProxy) -> None:
    proxy.refuse()
    proxy.drop()
    gate.note_ended("call_of_somebody_else")  # so that it speaks to the server
    await eventually(lambda: gate._parts.ledger.reads_alone)  # type: ignore[attr-defined]


async def test_a_gate_that_is_cut_off_counts_all_together_until_it_is_back(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """It would dial outbound's share by its own calls alone, which are not all of them."""
    script = source()
    async with with_a_share(own_redis, workspace_key, script) as (gate, proxy):
        await dial(gate, script, 1, 2, 3, 4)
        await read(gate, script, 6)
        assert gate.explain().headroom == 3
        await is_cut_off(gate, proxy)
        assert gate.explain().headroom == 1
        assert gate.statistics().usage.others is None
        await dial(gate, script, 5)
        assert gate.explain().headroom == 0
        proxy.heal()
        await eventually(lambda: not gate._parts.ledger.reads_alone)  # type: ignore[attr-defined]
        await read(gate, script, 7)
        assert await whose(own_redis.url, workspace_key, gate) == (5, 2)
        assert gate.explain().headroom == 2
        await dial(gate, script, 6, 7)
        assert await is_full(gate)


async def test_who_waits_as_the_gate_is_cut_off_goes_by_the_careful_ceiling(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Until the first reading of its own, the gate would use what is reserved for inbound calls."""
    script = source()
    async with (
        on(own_redis.url, workspace_key, script) as other,
        with_a_share(own_redis, workspace_key, script) as (gate, proxy),
    ):
        await dial(gate, script, 1, 2, 3, 4)
        await read(gate, script, 6)
        dialling, waiting = Callers(other), Callers(gate)
        dialling.send(3)
        await dialling.have_arrived(3)
        waiting.send(3)
        await eventually(lambda: any(gate.statistics().waiting.values()))
        await is_cut_off(gate, proxy)
        assert gate.explain().headroom == 0
        assert len(waiting.arrived) == 1
        await waiting.go()
        await dialling.go()


async def test_what_a_gate_dials_alone_that_counts_all_together_is_not_inbound(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Its calls would raise the ceilings of the gates that count inbound calls apart."""
    script = source()
    async with (
        on(own_redis.url, workspace_key, script) as one,
        with_a_share(own_redis, workspace_key, script, reserved_inbound="total") as (other, proxy),
    ):
        await dial(one, script, 1, 2, 3, 4)
        await read(one, script, 4)
        await is_cut_off(other, proxy)
        await dial(other, script, 5, 6)
        proxy.heal()
        await eventually(lambda: not other._parts.ledger.reads_alone)  # type: ignore[attr-defined]
        await read(one, script, 6)
        assert await whose(own_redis.url, workspace_key, one) == (None, None)
        assert one.explain().headroom == 1
