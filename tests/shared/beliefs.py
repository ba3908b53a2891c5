"""Gates on one ledger that go by a belief until the provider refuses a call.

The counter is a script, whose limits the test sets; it shows a call as soon as it is placed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from callguard import Gate, NoHeadroom, RedisLedger, open_gate
from callguard.decision import Usage
from callguard.ledger.redis.holders import Contents
from callguard.testing import ScriptedSource
from tests.shared.support import eventually


class Refusal(Exception):
    """The provider's no."""


@asynccontextmanager
async def believing(
    at: str | RedisLedger, name: str, script: ScriptedSource, **belief: Any
) -> AsyncIterator[Gate]:
    """A gate on a ledger, or on that of a name at a URL, that is opened with a belief."""
    async with (
        nullcontext(at)
        if isinstance(at, RedisLedger)
        else RedisLedger.from_url(at, name=name) as ledger,
        open_gate(
            source=script,
            ledger=ledger,
            cps=None,
            ttl=0.1,
            counter_lag=0.05,
            counts_ringing=True,
            refused=lambda error: isinstance(error, Refusal),
            **belief,
        ) as gate,
    ):
        yield gate


@asynccontextmanager
async def both_believing(
    url: str, name: str, script: ScriptedSource, **belief: Any
) -> AsyncIterator[tuple[Gate, Gate]]:
    """Two gates of two workers on one ledger, which are opened with the same belief."""
    async with (
        believing(url, name, script, **belief) as one,
        believing(url, name, script, **belief) as other,
    ):
        yield one, other


def count(script: ScriptedSource, current: int) -> None:
    """Let the counter show so many calls from now on."""
    script.limits = replace(script.limits, current_concurrency=current)


async def dial(gate: Gate, script: ScriptedSource, *calls: int, trunk: str | None = None) -> None:
    """Place calls, each of which the provider counts at once."""
    for number in calls:
        async with gate.admit(trunk=trunk, timeout=5.0) as permit:
            count(script, script.limits.current_concurrency + 1)
            permit.placed(f"call_{number}")


async def read(gate: Gate, script: ScriptedSource, current: int) -> None:
    """Have the ledger read a count that surely shows all calls from before."""
    count(script, current)

    async def is_counted() -> bool:
        await gate._parts.schedule.renew()
        usage = gate.statistics().usage
        return (usage.reported, usage.dialling, usage.uncounted) == (current, 0, 0)

    await eventually(is_counted)


async def is_full(gate: Gate) -> bool:
    """Whether a gate has no headroom; it has heard from the ledger."""
    try:
        async with gate.try_admit() as permit:
            permit.cancel()
    except NoHeadroom:
        return True
    return False


async def look(url: str, name: str) -> Contents:
    """What a look at the ledger finds."""
    async with RedisLedger.from_url(url, name=name) as ledger:
        return await ledger.look("key")


async def usage(url: str, name: str, gate: Gate) -> Usage:
    """The usage, which a gate and a look at the ledger have to tell alike."""
    seen = (await look(url, name)).usage
    assert gate.statistics().usage == seen
    return seen


async def given_up(url: str, name: str) -> list[str]:
    """The beliefs that a look at the ledger finds to have been given up."""
    return (await look(url, name)).given_up


async def have_one_refused(gate: Gate) -> None:
    """Have the provider refuse a call."""
    with pytest.raises(Refusal):
        async with gate.admit():
            raise Refusal


async def reads_that_it_is_given_up(gate: Gate) -> None:
    """Wait until a gate knows so; one where nobody waits learns of it with its next snapshot."""

    async def knows() -> bool:
        await gate._parts.schedule.renew()
        return bool(gate.statistics().given_up)

    await eventually(knows)


async def lose_the_belief(url: str, name: str, one: Gate, other: Gate) -> list[str]:
    """Have the provider refuse a call of one gate; returns what both gave up, and the ledger."""
    assert await given_up(url, name) == []
    await have_one_refused(one)
    lost = one.statistics().given_up
    await reads_that_it_is_given_up(other)
    assert other.statistics().given_up == await given_up(url, name) == lost
    return lost
