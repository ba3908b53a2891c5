"""Take the provider's webhooks in any framework: ``pytest examples/webhooks_starlette.py``.

The framework is Starlette here; with FastAPI the function is the same, under
``@app.post("/webhook")``. With another, `read` and `receive` stay what they are.
"""

from __future__ import annotations

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import callguard
import callguard.simulator
import callguard.webhooks
from callguard.simulator import Delivery


async def webhook(request: Request) -> Response:
    """What your program answers the provider with."""
    try:
        body = await callguard.webhooks.read(request.stream())
        callguard.webhooks.receive(
            request.app.state.gate,
            body,
            request.headers.get(callguard.webhooks.SIGNATURE_HEADER),
            api_key=request.app.state.webhook_key,  # without it: RETELL_API_KEY
        )
    except callguard.webhooks.WebhookError as error:
        return JSONResponse({"message": str(error)}, error.status)
    return Response(status_code=204)


def application(gate: callguard.Gate, webhook_key: str) -> Starlette:
    """Your program's application; `webhook_key` is the API key with the webhook badge."""
    app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])
    app.state.gate = gate
    app.state.webhook_key = webhook_key
    return app


async def one_call() -> None:
    """Place a call, and tell the application that it is over; and then a lie about another."""
    async with (
        callguard.simulator.serve(limit=5) as server,
        callguard.open_gate(server.api_key, base_url=server.url) as gate,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application(gate, server.api_key)),
            base_url="http://testserver",
        ) as provider,
    ):
        async with gate.admit() as permit:
            call = server.workspace.dial()
            permit.placed(call.call_id)
        assert gate.statistics().usage.uncounted == 1

        lie = Delivery.of("call_ended", call, api_key="key_of_somebody_else")
        answer = await provider.post("/webhook", content=lie.body, headers=lie.headers)
        assert answer.status_code == 401
        assert gate.statistics().usage.uncounted == 1

        server.workspace.stop(call.call_id)
        truth = Delivery.of("call_ended", call, api_key=server.api_key)
        answer = await provider.post("/webhook", content=truth.body, headers=truth.headers)
        assert answer.status_code == 204
        assert gate.statistics().usage.uncounted == 0


def test_only_the_truth_counts() -> None:
    asyncio.run(one_call())
