"""What a gate has seen of its premises, as it is seen from outside."""

from __future__ import annotations

from callguard import RedisLedger
from callguard.ledger.redis.premises import LedgerPremise
from callguard.premises import Broken
from tests.shared.provider import provider
from tests.shared.support import eventually, sharing


async def test_a_premise_that_does_not_hold_is_seen_by_who_looks(
    redis_url: str, workspace_key: str
) -> None:
    """Whoever has a terminal, and no log at hand, could not see what is to be set."""
    late = Broken("counter_lag", 2.0, 3.2, "late; open the gate with counter_lag=3.5", begins=True)
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
    ):

        async def seen() -> tuple[LedgerPremise, ...]:
            return (await ledger.look("key")).premises

        async with sharing(workspace, ledger) as gate:
            gate._parts.reporter.premise_broken(late)
            await eventually(seen)
            [found] = await seen()
            assert (found.premise, found.said, found.seen, found.why) == late[:4]
            assert gate.statistics().premises_broken == {"counter_lag": 1}

        async def gone() -> bool:
            return await seen() == ()

        await eventually(gone)
