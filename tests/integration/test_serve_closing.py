"""The end of ``callguard serve``: nothing that is left holds it up."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.serve_support import CREATE, KEY, LEAD, client, served, silent, stub, until


async def test_a_dial_without_an_answer_counts_as_placed_when_the_server_is_closed() -> None:
    """A server would wait for a dial that hangs, or forget its call."""
    async with stub() as provider, client() as session, asyncio.timeout(20):
        provider.answers = [silent]
        async with served(provider.url) as proxy:
            dial = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
            await until(lambda: len(provider.dials) == 1)
            (workspace,) = proxy.workspaces.open()
        await asyncio.wait([dial])
        usage = workspace.gate.statistics().usage
        assert (usage.dialling, usage.uncounted) == (0, 1)


async def test_a_gate_that_fails_to_close_keeps_no_other_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One ledger that is broken would leave all other gates open, and their connections."""

    async def failing() -> None:
        raise OSError(KEY)

    async with stub() as provider:
        async with served(provider.url) as proxy:
            opened = []
            for number in range(3):
                async with proxy.workspaces.use(f"{KEY}_{number}") as workspace:
                    opened.append(workspace)
            monkeypatch.setattr(opened[0].permits, "aclose", failing)
            monkeypatch.setattr(opened[1].gate, "aclose", failing)
            session = proxy.workspaces._session
    assert "closed" in repr(opened[0].gate)
    assert "closed" in repr(opened[2].gate)
    assert session is not None
    assert session.closed
    failed = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(failed) == 2
    assert KEY not in str(failed)
