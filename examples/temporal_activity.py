"""Dial from Temporal activities, one gate a worker: ``pytest examples/temporal_activity.py``.

    async with callguard.open_gate() as gate, AsyncRetell() as retell:
        await Worker(client, activities=[Dialer(gate, retell).place_call], ...).run()

The idempotency key is the activity's own, and not the permit's: if Temporal repeats an activity
whose outcome it doesn't know, the provider still places one call. A refusal in the form of a call
that died at once has used up its key, so the next dial has another. The provider knows a key for an
hour: an activity dials within 55 minutes of its scheduling, and then raises an `AdmissionTimeout`.
So schedule no more activities than an hour can dial, with a `schedule_to_close_timeout` of an hour.
Workers on several machines share one limit with ``open_gate(ledger="redis://...")``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from retell import AsyncRetell, InternalServerError
from retell.types import PhoneCallResponse
from temporalio import activity
from temporalio.testing import ActivityEnvironment

import callguard
from callguard.simulator import Faults
from callguard.testing import VirtualWorkspace

KEYS_LAST = timedelta(minutes=55)
"""The hour for which the provider knows an idempotency key, less what a dial may take."""


class Dialer:
    """The activities of one worker."""

    def __init__(self, gate: callguard.Gate, retell: AsyncRetell) -> None:
        self.gate = gate
        self.retell = retell

    @activity.defn
    async def place_call(self, number: str) -> str:
        """Call a number as soon as a call fits, and return the call's id."""
        info = activity.info()
        calls: list[PhoneCallResponse] = []  # if there is another dial, the last one was refused

        async def dial(_: callguard.Permit) -> PhoneCallResponse:
            call = await self.retell.call.create_phone_call(
                from_number="+14157774444",
                to_number=number,
                idempotency_key=f"{info.workflow_run_id}/{info.activity_id}/{len(calls)}",
            )
            calls.append(call)
            return call

        return (await self.gate.place(dial, not_after=info.scheduled_time + KEYS_LAST)).call_id


async def campaign() -> str:
    """One activity, as Temporal runs it: again, after it failed."""
    async with callguard.open_gate() as gate, AsyncRetell() as retell:
        place_call, temporal = Dialer(gate, retell).place_call, ActivityEnvironment()
        temporal.info = replace(temporal.info, scheduled_time=datetime.now(UTC))
        with pytest.raises(InternalServerError):
            await temporal.run(place_call, "+12125550001")
        await asyncio.sleep(60.0)
        return await temporal.run(place_call, "+12125550001")


def test_a_repeated_activity_places_one_call(
    simulated_workspace: Callable[..., VirtualWorkspace],
) -> None:
    a_minute = Faults(schedule=((0.0, 60.0, "500"),))  # each dial is placed nevertheless
    workspace = simulated_workspace(limit=5, dial_faults=a_minute)
    call_id = workspace.run(campaign())
    (call,) = workspace.workspace.calls()
    assert call.call_id == call_id
    assert workspace.truth().refusals == 0
