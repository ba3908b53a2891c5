"""A small campaign whose every number is known, under the clock that jumps."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import callguard
from callguard import AdmissionTimeout, Gate, Lane, Listener, Trunk
from callguard.testing import ScriptedSource

__all__ = ["LANES", "TRUNKS", "campaign"]

LANES = [Lane("urgent", priority=0, burst=1), Lane("bulk", priority=1, reserve=1)]

TRUNKS = [Trunk("twilio", cps=0.5, calls=5)]


async def campaign(*listeners: Listener) -> Gate:
    """Dial a few calls through a gate, which is returned open."""
    source = ScriptedSource()
    source.answer(limit=4, current=1, burst_limit=6, reserved_inbound=1)
    gate = await callguard.connect(
        source=source, lanes=LANES, trunks=TRUNKS, cps=None, listener=listeners
    )
    async with gate.admit("bulk"):
        pass
    async with gate.admit("urgent", trunk="twilio") as permit:
        permit.placed("call_of_somebody")
    with suppress(AdmissionTimeout):
        async with gate.admit("bulk", timeout=0.25):
            pass
    waits = asyncio.create_task(_dial(gate))
    async with gate.admit("urgent") as permit:
        await asyncio.sleep(2.0)
        permit.cancel()
    source.answer(limit=9, current=3, burst_limit=12, reserved_inbound=1)
    await waits
    async with gate.admit("urgent") as permit:
        permit.refused(429)
    gate.pause("bulk", trunk="twilio", reason="call +14155550100")
    await asyncio.sleep(0.5)
    return gate


async def _dial(gate: Gate) -> None:
    async with gate.admit("bulk"):
        pass
