"""``callguard serve`` in front of the simulated provider, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from callguard import simulator
from callguard.serve.application import application
from callguard.serve.settings import ServeSettings, WorkspaceSettings


@asynccontextmanager
async def served(settings: ServeSettings) -> AsyncIterator[str]:
    """The address of a proxy with these settings, on any free port."""
    runner = web.AppRunner(
        application(settings),
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


async def test_a_call_is_placed_through_the_gate_and_its_answer_is_the_providers() -> None:
    """A dialer that only changes the address would place no calls."""
    async with simulator.serve(cps=None) as provider:
        settings = ServeSettings(provider_url=provider.url, workspace=WorkspaceSettings(cps=None))
        async with (
            served(settings) as url,
            aiohttp.ClientSession(
                headers={"Authorization": f"Bearer {provider.api_key}"}
            ) as client,
        ):
            lead = {"from_number": "+14155550100", "to_number": "+14155550101"}
            async with client.post(f"{url}/v2/create-phone-call", json=lead) as answer:
                assert answer.status == 201
                call_id = (await answer.json())["call_id"]
            async with client.get(f"{url}/v2/get-call/{call_id}") as answer:
                assert (await answer.json())["call_id"] == call_id
        assert provider.workspace.truth().placed == 1
