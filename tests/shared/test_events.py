"""What only gates on a shared ledger can tell."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger
from callguard.events import Cancelled, Event, PermitLost, Placed
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.view import View
from tests.shared.provider import provider
from tests.shared.support import eventually, sharing


async def test_a_permit_that_is_lost_is_told_of_once(
    redis_url: str, workspace_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody would be alarmed by each lease that runs out, or for a call that was placed."""
    heard: list[Event] = []
    losses: list[Mapping[int, str]] = []
    lose = View.lose

    def note_loss(view: View) -> Mapping[int, str]:
        losses.append(lose(view))
        return losses[-1]

    monkeypatch.setattr(View, "lose", note_loss)
    async with (
        provider(limit=5) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key, lease=60.0, timeout=10.0) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger, listener=heard.append) as gate,
        gate.admit() as lost,
        gate.admit() as placed,
    ):
        placed.placed("call_1")
        consult = gate._parts.admissions._consult
        assert consult is not None
        await consult()

        async def has_lost(times: int) -> bool:
            """Let the lease have run out long ago, until that was noticed so many times."""
            if len(losses) < times:
                await client.zadd(Names(workspace_key).keys[1], {gate.id: 1})
                await consult()
            return len(losses) >= times

        await eventually(lambda: has_lost(1))
        await eventually(lambda: has_lost(2))
        told = [event for event in heard if isinstance(event, PermitLost)]
        assert [(event.permit_id, event.lane) for event in told] == [(lost.id, "default")]
        assert (told[0].gate, told[0].workspace) == (gate.id, ledger.workspace_hash("key"))
        assert lost.lost
        lost.cancel()
        await consult()
    fates = [event for event in heard if isinstance(event, Placed | Cancelled)]
    assert [(type(event), event.permit_id) for event in fates] == [
        (Placed, placed.id),
        (Cancelled, lost.id),
    ]
