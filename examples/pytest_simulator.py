"""Test a dialer against a simulated workspace: ``pytest examples/pytest_simulator.py``.

pytest finds the fixture `simulated_workspace` as soon as callguard is installed. The workspace has
five slots, and answers 429 to whoever wants a sixth. Nothing is faked between the dialer and it:
requests go over a socket, and the counter is late. Only the clock jumps, from one event to the
next, so that hours of dialling take seconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

import aiohttp

import callguard
from callguard.simulator import BAD_NUMBER, BUSY, NO_ANSWER, VOICEMAIL, Faults, answered
from callguard.testing import VirtualWorkspace

Make = Callable[..., VirtualWorkspace]

AGAIN_AFTER = 300.0
"""Seconds after which a busy number is called again."""


async def campaign(numbers: Sequence[str]) -> dict[str, str]:
    """What your dialer does: all leads at once, and the gate spaces them.

    One slot stays free for a call that comes in between two readings.

    Returns:
        Why the last call to each number ended.
    """
    address, key = os.environ["RETELL_BASE_URL"], os.environ["RETELL_API_KEY"]
    authorized = {"Authorization": f"Bearer {key}"}
    async with (
        callguard.open_gate(lanes=[callguard.Lane("leads", reserve=1, default=True)]) as gate,
        aiohttp.ClientSession(address, headers=authorized, raise_for_status=True) as session,
    ):
        reasons = await asyncio.gather(*(reach(gate, session, number) for number in numbers))
    return dict(zip(numbers, reasons, strict=True))


async def reach(gate: callguard.Gate, session: aiohttp.ClientSession, number: str) -> str:
    """Call a number until it isn't busy."""
    while True:
        call_id = await place(gate, session, number)
        reason = await end_of(session, call_id)
        if reason != "dial_busy":
            return reason
        await asyncio.sleep(AGAIN_AFTER)


async def place(gate: callguard.Gate, session: aiohttp.ClientSession, number: str) -> str:
    async with gate.admit() as permit:
        body = {
            "from_number": "+14157774444",
            "to_number": number,
            "idempotency_key": permit.id,
        }
        async with session.post("/v2/create-phone-call", json=body) as response:
            call_id = str((await response.json())["call_id"])
        permit.placed(call_id)
        return call_id


async def end_of(session: aiohttp.ClientSession, call_id: str) -> str:
    while True:
        async with session.get(f"/v2/get-call/{call_id}") as response:
            call = await response.json()
        if reason := call.get("disconnection_reason"):
            return str(reason)
        await asyncio.sleep(5.0)


def test_a_campaign_stays_within_the_limit(simulated_workspace: Make) -> None:
    workspace = simulated_workspace(limit=5, inbound_rate=0.01)
    workspace.run(campaign([f"+1212555{lead:04}" for lead in range(30)]))
    truth = workspace.truth()
    assert truth.placed == 30
    assert truth.refusals == 0
    assert truth.peak <= 5


def test_a_busy_number_is_called_again(simulated_workspace: Make) -> None:
    fates = {
        "+12125550001": (BUSY, BUSY, answered(talk_time=90.0)),
        "+12125550002": VOICEMAIL,
        "+12125550003": BAD_NUMBER,
        "+12125550004": NO_ANSWER,
    }
    workspace = simulated_workspace(limit=5, numbers=fates)
    assert workspace.run(campaign(list(fates))) == {
        "+12125550001": "user_hangup",
        "+12125550002": "voicemail_reached",
        "+12125550003": "invalid_destination",
        "+12125550004": "dial_no_answer",
    }
    assert workspace.truth().placed == 6


def test_an_outage_of_the_counter_is_waited_out(simulated_workspace: Make) -> None:
    ten_minutes = Faults(schedule=((0.0, 600.0, "500"),))
    workspace = simulated_workspace(limit=5, faults=ten_minutes)
    workspace.run(campaign(["+12125550001"]))
    (call,) = workspace.workspace.calls()
    assert call.placed_at > 600.0
