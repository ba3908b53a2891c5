"""What is seen of a workspace whose gates share a ledger on a real server."""

from __future__ import annotations

from callguard import RedisLedger
from callguard.serve.journal import Journal
from callguard.serve.shared import LedgerLook, overview_of_ledger, shared_overview
from tests.shared.provider import provider
from tests.shared.support import Callers, eventually, sharing


async def test_the_calls_of_all_gates_are_seen_at_each(redis_url: str, workspace_key: str) -> None:
    """An operator would look at one process of many, and take it for the workspace."""
    journal = Journal()
    async with (
        provider(limit=2) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, listener=journal) as here,
        sharing(workspace, ledger) as there,
    ):
        callers = Callers(there)
        callers.send(3)
        await callers.have_arrived(2)
        look = LedgerLook(ledger, workspace_key)
        await eventually(lambda: len(journal.happenings()) == 0)
        seen = await shared_overview(here, journal, look)
        assert [each.state for each in seen.holders] == ["dialling"] * 2
        assert {each.id for each in seen.holders} == {each.id for each in callers.arrived}
        assert (seen.usage.total, seen.lanes[0].waiting) == (2, 1)
        contents = await look.contents()
        assert contents is not None
        alone = overview_of_ledger(contents, seen.workspace, seen.at)
        assert (alone.holders, alone.usage) == (seen.holders, seen.usage)
        assert [(each.name, each.waiting) for each in alone.lanes] == [("default", 1)]
        await callers.go()
