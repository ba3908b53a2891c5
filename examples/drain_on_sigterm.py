"""Stop a dialer without losing a call: ``pytest examples/drain_on_sigterm.py``.

SIGTERM, as a deployment sends it, ends the dialling and not the dials: nobody is admitted any more,
what is being dialled goes on, and the program leaves when every call is over or in the count. Leads
that were not dialled are handed back.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import aiohttp

import callguard
import callguard.simulator
from callguard.simulator import Constant


async def dial_until_told(
    gate: callguard.Gate, session: aiohttp.ClientSession, numbers: list[str]
) -> list[str]:
    """What your dialer does: prints each call, and returns the numbers that were not dialled."""
    left: list[str] = []

    async def lead(number: str) -> None:
        async def dial(permit: callguard.Permit) -> Any:
            body = {"from_number": "+1", "to_number": number, "idempotency_key": permit.id}
            async with session.post("/v2/create-phone-call", json=body) as response:
                return await response.json()

        try:
            print(f"{number},{(await gate.place(dial))['call_id']}", flush=True)
        except callguard.GateDraining:
            left.append(number)
        except (aiohttp.ClientError, TimeoutError) as error:  # say, for a number that is none
            print(f"{number},{type(error).__name__}: {error}", flush=True)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        loop.add_signal_handler(signal.SIGTERM, lambda: tasks.create_task(gate.drain()))
        for number in numbers:
            tasks.create_task(lead(number))
    loop.remove_signal_handler(signal.SIGTERM)
    return left


async def campaign(calls: int) -> tuple[int, callguard.simulator.Truth]:
    """Dial, and be told to stop while most still wait."""
    async with (
        callguard.simulator.serve(
            limit=3,
            cps=None,  # a busy machine may delay one dial, and not the next
            ring_limit=0.1,
            talk_time=Constant(0.3),
            rise_lag=0.05,
            fall_lag=0.05,
        ) as server,
        callguard.open_gate(
            server.api_key, base_url=server.url, ring_limit=0.1, counter_lag=0.1, ttl=0.1
        ) as gate,
        aiohttp.ClientSession(
            server.url,
            headers={"Authorization": f"Bearer {server.api_key}"},
            raise_for_status=True,
        ) as session,
    ):
        asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
        numbers = [f"+1213{number:07}" for number in range(calls)]
        left = await dial_until_told(gate, session, numbers)
        assert gate.statistics().usage.dialling == gate.statistics().usage.uncounted == 0
        return len(left), server.workspace.truth()


def test_every_lead_is_dialled_or_handed_back() -> None:
    left, truth = asyncio.run(campaign(calls=30))
    assert 0 < left < 30
    assert truth.placed == 30 - left
    assert truth.refusals == 0


if __name__ == "__main__":
    print(asyncio.run(campaign(calls=30)))
