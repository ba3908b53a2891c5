"""The end of ``callguard serve``: nothing that is left holds it up."""

from __future__ import annotations

import asyncio

from tests.integration.serve_support import CREATE, LEAD, client, served, silent, stub, until


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
