"""While the server is away nobody gets in, and that is said as what it is."""

from __future__ import annotations

from callguard import RedisLedger
from callguard.testing import RedisServer
from tests.shared.provider import provider
from tests.shared.support import LEASE, TIMEOUT, Callers, eventually, sharing


async def test_no_reading_counts_as_rejected_because_the_ledger_is_away(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """An outage of the ledger would look like a key that the provider refuses."""
    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(
            own_redis.url, name=workspace_key, lease=LEASE, timeout=TIMEOUT
        ) as ledger,
        sharing(workspace, ledger) as gate,
    ):
        own_redis.stop()
        callers = Callers(gate)
        callers.send(1)
        await eventually(lambda: sum(gate.statistics().readings.values()) > 2)
        await callers.go()
        assert gate.statistics().readings["rejected"] == 0
