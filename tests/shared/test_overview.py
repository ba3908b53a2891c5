"""What is seen of a workspace whose gates share a ledger on a real server."""

from __future__ import annotations

import pytest

from callguard import RedisLedger
from callguard.cli.top_feeds import LedgerFeed, ServerAway
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


async def test_the_terminal_pauses_and_resumes_all_gates(
    redis_url: str, workspace_key: str
) -> None:
    """An operator would press a key to stop a campaign, and it would go on."""
    async with (
        provider(limit=2) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger) as gate,
    ):
        feed = LedgerFeed(ledger, workspace_key, "localhost")
        await feed.pause()
        await eventually(lambda: gate.explain().constraint == "paused")
        seen = await feed.look()
        assert [each.reason for each in seen.pauses] == ["from top"]
        assert await feed.resume()
        await eventually(lambda: gate.explain().constraint != "paused")
        assert not await feed.resume()
        assert len(seen.chart) == 1


async def test_a_ledger_that_nobody_uses_is_said(redis_url: str, workspace_key: str) -> None:
    """Whoever mistypes a name would see an empty workspace."""
    async with RedisLedger.from_url(redis_url, name=workspace_key) as ledger:
        with pytest.raises(ServerAway, match="no gate has used this ledger"):
            await LedgerFeed(ledger, workspace_key, "localhost").look()
