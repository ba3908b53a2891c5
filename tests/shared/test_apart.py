"""Inbound calls that are counted apart, at gates on one ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from redis.asyncio import Redis

import callguard
from callguard import Gate, RedisLedger
from callguard.ledger.redis.keys import Names
from callguard.testing import RedisServer, ScriptedSource
from tests.shared.beliefs import (
    believing,
    both_believing,
    dial,
    given_up,
    have_one_refused,
    is_full,
    lose_the_belief,
    read,
    reads_that_it_is_given_up,
    usage,
)
from tests.shared.support import Callers, eventually
from tests.support.tcp_proxy import TcpProxy

LIMIT, RESERVED = 10, 3


on = partial(believing, reserved_inbound="outbound")
both_on = partial(both_believing, reserved_inbound="outbound")


def source() -> ScriptedSource:
    script = ScriptedSource(limit=LIMIT)
    script.answer(LIMIT, reserved_inbound=RESERVED)
    return script


async def whose(url: str, name: str, gate: Gate) -> tuple[int | None, int | None]:
    """Own calls and others'."""
    seen = await usage(url, name, gate)
    return seen.own, seen.others


async def test_gates_on_one_ledger_use_outbounds_share_together(
    redis_url: str, workspace_key: str
) -> None:
    """Each gate would dial its own share, or an inbound call would cost both an outbound one."""
    script = source()
    async with both_on(redis_url, workspace_key, script) as (one, other):
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
    async with both_on(redis_url, workspace_key, script) as (one, other):
        await dial(one, script, 1, 2, 3, 4)
        await read(one, script, 7)
        assert not await is_full(other)
        lost = await lose_the_belief(redis_url, workspace_key, one, other)
        assert lost == ["reserved_inbound"]
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
        both_on(redis_url, workspace_key, script) as (one, other),
        Redis.from_url(redis_url) as client,
    ):
        await dial(one, script, 1, 2)
        await have_one_refused(one)
        await reads_that_it_is_given_up(other)
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
            await have_one_refused(gate)
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
        on(redis_url, workspace_key, script, reserved_inbound="total") as other,
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
    async with on(redis_url, workspace_key, script, reserved_inbound="total") as gate:
        await dial(gate, script, 1, 2)
        await have_one_refused(gate)
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
