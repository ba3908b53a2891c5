"""Dial from FastAPI, and take the provider's webhooks: ``pytest examples/fastapi_webhooks.py``.

The gate is open as long as the application runs, and doesn't ask for what webhooks tell. Run it by
``uvicorn fastapi_webhooks:app``, with RETELL_API_KEY set to the key that has the webhook badge.
Several workers share one limit with ``open_gate(ledger="redis://localhost")``, each taking the
webhooks that reach it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from retell import AsyncRetell

import callguard
import callguard.webhooks
from callguard.simulator import Constant, Truth, serve


class State(TypedDict):
    gate: callguard.Gate
    retell: AsyncRetell


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with callguard.open_gate(track=None) as gate, AsyncRetell() as retell:
        yield State(gate=gate, retell=retell)


app = FastAPI(lifespan=lifespan)


@app.post("/calls/{number}", status_code=201)
async def call(number: str, request: Request) -> str:
    """Call a number as soon as a call fits, and answer with the call's id."""

    async def dial(permit: callguard.Permit) -> object:
        return await request.state.retell.call.create_phone_call(
            from_number="+14157774444", to_number=number, idempotency_key=permit.id
        )

    try:
        return str((await request.state.gate.place(dial, timeout=20.0)).call_id)
    except callguard.AdmissionError as error:
        raise HTTPException(503, str(error), {"Retry-After": "5"}) from error


@app.post("/webhook", status_code=204)
async def webhook(request: Request) -> None:
    """Tell the gate what became of a call."""
    signature = request.headers.get(callguard.webhooks.SIGNATURE_HEADER)
    try:
        body = await callguard.webhooks.read(request.stream())
        callguard.webhooks.receive(request.state.gate, body, signature)
    except callguard.webhooks.WebhookError as error:
        raise HTTPException(error.status, str(error)) from error


async def campaign(patch: pytest.MonkeyPatch) -> Truth:
    """Two calls, one after the other: the second goes as soon as a webhook says the first is over.

    Without that it would have to wait as long as a call may ring, which is longer than it waits.
    """
    with socket.create_server(("127.0.0.1", 0)) as port:
        address = f"http://127.0.0.1:{port.getsockname()[1]}"
        async with serve(
            limit=1,
            cps=None,  # a busy machine may delay one dial, and not the next
            ring_time=Constant(0.1),
            talk_time=Constant(0.3),
            answer_rate=1.0,
            fall_lag=0.1,
            webhook_url=f"{address}/webhook",
        ) as provider:
            patch.setenv("RETELL_API_KEY", provider.api_key)
            patch.setenv("RETELL_BASE_URL", provider.url)
            program = uvicorn.Server(uvicorn.Config(app, log_config=None))
            running = asyncio.create_task(program.serve(sockets=[port]))
            async with httpx.AsyncClient(base_url=address, timeout=20.0) as client:
                numbers = [f"+1213555{lead:04}" for lead in range(2)]
                answers = await asyncio.gather(*(client.post(f"/calls/{n}") for n in numbers))
                assert [answer.status_code for answer in answers] == [201] * len(numbers)
                lie = await client.post("/webhook", json={"event": "call_ended"})
                assert lie.status_code == 401
            program.should_exit = True
            await running
            return provider.workspace.truth()


def test_calls_are_placed_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = asyncio.run(campaign(monkeypatch))
    assert (truth.placed, truth.refusals) == (2, 0)
