"""Take the provider's webhooks with aiohttp: ``pytest examples/webhooks_aiohttp.py``.

Without them the gate has to count a placed call for half a minute more than the provider may do,
because nobody says whether it rings still. With them it knows, and dials on at once.

The provider is a simulated workspace here. It signs its webhooks as the real one does, sends some
twice and in the wrong order, and somebody else sends lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiohttp.test_utils import unused_port

import callguard
import callguard.simulator
import callguard.webhooks
from callguard.simulator import Constant, Uniform, WebhookPlan

CALLS = 15


@asynccontextmanager
async def taking_webhooks(gate: callguard.Gate, api_key: str, port: int) -> AsyncIterator[None]:
    """What your program does besides dialling; `api_key` is the one with the webhook badge."""
    app = web.Application()
    app.router.add_post("/webhook", callguard.webhooks.handler(gate, api_key=api_key))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


async def place_one(gate: callguard.Gate, session: aiohttp.ClientSession) -> None:
    """What your dialer does for one call: the id is what the webhooks are matched by."""
    async with gate.admit() as permit:
        body = {
            "from_number": "+14157774444",
            "to_number": "+12137774445",
            "idempotency_key": permit.id,
        }
        async with session.post("/v2/create-phone-call", json=body) as response:
            permit.placed((await response.json())["call_id"])


async def campaign() -> callguard.simulator.Truth:
    """Place all the calls, with five at once, by a gate that knows nothing of ringing calls."""
    port = unused_port()
    async with (
        callguard.simulator.serve(
            limit=5,
            cps=None,  # a busy machine may delay one dial, and not the next
            ring_time=Constant(0.1),
            unanswered_ring=Constant(0.2),
            talk_time=Constant(0.3),
            rise_lag=0.05,
            fall_lag=0.05,
            webhook_url=f"http://127.0.0.1:{port}/webhook",
            webhooks=WebhookPlan(late=Uniform(0.0, 0.1), duplicated=0.3, forged=0.5),
        ) as server,
        callguard.open_gate(
            server.api_key,
            base_url=server.url,
            counter_lag=0.1,
            ttl=0.1,
            min_interval=0.05,
        ) as gate,
        taking_webhooks(gate, server.api_key, port),
        aiohttp.ClientSession(
            server.url,
            headers={"Authorization": f"Bearer {server.api_key}"},
            raise_for_status=True,
        ) as session,
    ):
        async with asyncio.timeout(20):  # three rounds of ring_limit would take more than 60 s
            await asyncio.gather(*(place_one(gate, session) for _ in range(CALLS)))
        return server.workspace.truth()


def test_webhooks_spare_the_wait() -> None:
    truth = asyncio.run(campaign())
    assert truth.placed == CALLS
    assert truth.refusals == 0
    assert truth.peak <= 5
