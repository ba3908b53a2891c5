"""Dial with retell-sdk: ``pytest examples/retell_sdk.py``, or ``python retell_sdk.py 200 10``.

The workspace is a simulated one; leave out `base_url`, and it is your own. A refused call goes back
into the queue by itself. A call whose outcome is unknown is dialled again under the same permit, so
that the provider can tell that it is the same call. The SDK's own retries stay off: they know of no
limits.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from retell import AsyncRetell, RetellError
from retell.types import PhoneCallResponse

import callguard
import callguard.simulator
from callguard.simulator import Exponential


async def dial_all(retell: AsyncRetell, gate: callguard.Gate, numbers: list[str]) -> None:
    """What your dialer does: all leads at once, and the gate spaces them; until SIGTERM.

    Each lead that was dialled is printed, with its call's id or the error.
    """

    async def lead(number: str) -> None:
        async def dial(permit: callguard.Permit) -> PhoneCallResponse:
            return await retell.call.create_phone_call(
                from_number="+14157774444",
                to_number=number,
                idempotency_key=permit.id,
                max_retries=0,
            )

        try:
            outcome = (await gate.place(dial, idempotent=True)).call_id
        except callguard.GateDraining:
            return  # it is to be dialled after the restart
        except RetellError as error:  # say, for a number that is none
            outcome = str(error)
        print(f"{number},{outcome}", flush=True)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        loop.add_signal_handler(signal.SIGTERM, lambda: tasks.create_task(gate.drain()))
        for number in numbers:
            tasks.create_task(lead(number))
    loop.remove_signal_handler(signal.SIGTERM)


async def campaign(calls: int, limit: int) -> callguard.simulator.Truth:
    """Place the calls, and wait until the last one is over."""
    async with (
        callguard.simulator.serve(
            limit=limit,
            cps=None,  # a busy machine may delay one dial, and not the next
            ring_time=Exponential(0.1, at_most=0.3),
            ring_limit=0.3,
            talk_time=Exponential(0.4, at_most=1.0),
            rise_lag=0.05,
            fall_lag=0.05,
        ) as server,
        callguard.open_gate(
            server.api_key,
            base_url=server.url,
            ring_limit=0.3,
            counter_lag=0.2,
            ttl=0.1,
            min_interval=0.05,
        ) as gate,
        AsyncRetell(api_key=server.api_key, base_url=server.url) as retell,
    ):
        numbers = [f"+1213{number:07}" for number in range(calls)]
        await dial_all(retell, gate, numbers)
        await asyncio.sleep(1.5)  # no call lasts longer
        async with gate:
            return server.workspace.truth()


def test_every_call_is_placed_and_none_refused() -> None:
    truth = asyncio.run(campaign(calls=10, limit=5))
    assert truth.placed == truth.ended == 10
    assert truth.refusals == 0
    assert truth.peak <= 5


if __name__ == "__main__":
    print(asyncio.run(campaign(int(sys.argv[1]), int(sys.argv[2]))))
