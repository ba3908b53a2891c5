"""What a caller takes back is as good as never said, by the server's ledger too."""

from __future__ import annotations

from redis.asyncio import Redis

from callguard import RedisLedger
from tests.shared.provider import provider
from tests.shared.support import contents, eventually, sharing


async def test_a_call_that_was_placed_after_all_counts(redis_url: str, workspace_key: str) -> None:
    """A slot would be given twice, to a call that is going on and to another."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        Redis.from_url(redis_url) as client,
        sharing(workspace, ledger, ring_limit=60.0) as gate,
    ):
        async with gate.admit() as permit:
            permit.cancel()
            permit.placed()
        await eventually(lambda: gate.statistics().usage.uncounted)
        assert gate.statistics().usage.total == 1
        assert (await contents(client, workspace_key)).held == (0, 1)
