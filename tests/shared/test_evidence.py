"""Evidence that comes in at another worker than the one that dialled."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.ledger.redis.keys import Names
from tests.shared.provider import provider
from tests.shared.support import Callers, eventually, sharing


@pytest.mark.parametrize("early", [False, True])
async def test_a_call_that_is_over_gives_its_slot_back_wherever_that_is_known_from(
    redis_url: str, workspace_key: str, early: bool
) -> None:
    """Webhooks land at any worker, and a slot would be held for a call that is over."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger, ring_limit=600.0) as dialling,
        sharing(workspace, ledger, ring_limit=600.0) as told,
        sharing(workspace, ledger, ring_limit=600.0) as waiting,
    ):
        callers = Callers(waiting)
        early_evidence = Names(workspace_key).keys[10]
        async with dialling.admit() as permit:
            callers.send(1)
            if early:
                told.note_ended("call_1")
                await eventually(lambda: client.exists(early_evidence))
                assert not callers.arrived
            permit.placed("call_1")
        if not early:
            await eventually(lambda: dialling.statistics().usage.uncounted == 1)
            assert not callers.arrived
            told.note_ended("call_1")
        await callers.have_arrived(1)
        await callers.go()


async def test_a_call_that_was_answered_is_seen_sooner_wherever_that_is_known_from(
    redis_url: str, workspace_key: str
) -> None:
    """A slot would be held until the call could ring no longer, though the counter shows it."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, ring_limit=600.0) as dialling,
        sharing(workspace, ledger, ring_limit=600.0) as told,
    ):
        async with dialling.admit() as permit:
            permit.placed("call_1")
        callers = Callers(dialling)
        callers.send(1)
        await eventually(lambda: told.statistics().usage.uncounted == 1)
        assert not callers.arrived
        told.note_answered("call_1")
        await callers.have_arrived(1)
        await callers.go()


async def test_a_refusal_that_is_heard_at_another_gate_pushes_the_trunk_back_for_all(
    redis_url: str, workspace_key: str
) -> None:
    """The gate that dials would dial on into refusals, of which only the webhooks' gate hears."""
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, cps=100.0, ring_limit=600.0) as dialling,
        sharing(workspace, ledger, cps=100.0, ring_limit=600.0) as told,
    ):
        async with dialling.admit() as permit:
            permit.placed("call_1")
        await eventually(lambda: told.statistics().usage.uncounted == 1)
        told.note_ended("call_1", refused=True)

        async def is_pushed_back() -> bool:
            [trunk] = (await ledger.look("key")).trunks
            return trunk.pushed_back

        await eventually(is_pushed_back)
