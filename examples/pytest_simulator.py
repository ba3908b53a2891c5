"""Test a dialer against a simulated workspace: ``pytest examples/pytest_simulator.py``.

The workspace has five places and sends a 429 to whoever wants a sixth. Nothing is faked between
the dialer and it: requests go over a socket, and the counter is late.
"""

from __future__ import annotations

import asyncio

import aiohttp

import callguard
import callguard.simulator
from callguard.simulator import Constant

CALLS = 15


async def place_one(gate: callguard.Gate, session: aiohttp.ClientSession) -> str:
    """What your dialer does for one call."""
    async with gate.admit() as permit:
        body = {
            "from_number": "+14157774444",
            "to_number": "+12137774445",
            "idempotency_key": permit.id,
        }
        async with session.post("/v2/create-phone-call", json=body) as response:
            call_id = str((await response.json())["call_id"])
        permit.placed(call_id)
        return call_id


async def campaign() -> callguard.simulator.Truth:
    """Place all the calls at once, and let the gate space them."""
    async with (
        callguard.simulator.serve(
            limit=5,
            ring_time=Constant(0.1),
            unanswered_ring=Constant(0.2),
            talk_time=Constant(0.3),
            rise_lag=0.05,
            fall_lag=0.05,
        ) as server,
        callguard.open_gate(
            server.api_key,
            base_url=server.url,
            counts_ringing=True,
            counter_lag=0.1,
            ttl=0.1,
            min_interval=0.05,
        ) as gate,
        aiohttp.ClientSession(
            server.url,
            headers={"Authorization": f"Bearer {server.api_key}"},
            raise_for_status=True,
        ) as session,
    ):
        await asyncio.gather(*(place_one(gate, session) for _ in range(CALLS)))
        return server.workspace.truth()


def test_campaign_stays_within_the_limit() -> None:
    truth = asyncio.run(campaign())
    assert truth.placed == CALLS
    assert truth.refusals == 0
    assert truth.peak == 5
