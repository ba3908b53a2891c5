"""Dial from arq jobs, with one gate in each worker: ``arq arq_worker.WorkerSettings``.

The workers share one limit through the Redis server at REDIS_URL. The idempotency key is the job's
own, and not the permit's: if arq runs a job again, because its worker was stopped, the provider
still places one call. A refusal in the form of a call that died at once has used up its key, so the
next dial has another. The provider knows a key for an hour: a job dials within 55 minutes of being
enqueued, and then fails with an `AdmissionTimeout`. So enqueue no more jobs than an hour can dial.
``pytest examples/arq_worker.py`` needs arq and a Redis server.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import create_worker, func
from retell import AsyncRetell

import callguard
from callguard.simulator import Truth, serve
from callguard.testing import RedisServer

KEYS_LAST = timedelta(minutes=55)
"""The hour for which the provider knows an idempotency key, less what a dial may take."""


async def startup(context: dict[str, Any]) -> None:
    context["gate"] = await callguard.connect(ledger=os.environ["REDIS_URL"])
    context["retell"] = AsyncRetell()


async def shutdown(context: dict[str, Any]) -> None:
    await context["gate"].aclose()
    await context["retell"].close()


async def place_call(context: dict[str, Any], number: str) -> str:
    """Call a number as soon as a call fits, and return the call's id."""
    calls: list[object] = []  # if there is another dial, the last one was refused

    async def dial(_: callguard.Permit) -> object:
        call = await context["retell"].call.create_phone_call(
            from_number="+14157774444",
            to_number=number,
            idempotency_key=f"{context['job_id']}/{len(calls)}",
        )
        calls.append(call)
        return call

    latest = context["enqueue_time"] + KEYS_LAST
    return str((await context["gate"].place(dial, not_after=latest)).call_id)


class WorkerSettings:
    functions = (func(place_call, timeout=3600.0),)  # longer than `KEYS_LAST`
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = 1000  # most of them only wait


async def campaign(redis: str, numbers: list[str]) -> Truth:
    """A job for each number, and a worker that does them all, some at the second dial."""
    settings = RedisSettings.from_dsn(redis)
    jobs = await create_pool(settings)
    for number in numbers:
        await jobs.enqueue_job("place_call", number)
    async with serve(limit=5, cps=0.25, cps_refusal="dead-call") as provider:
        os.environ["REDIS_URL"] = redis
        os.environ["RETELL_API_KEY"] = provider.api_key
        os.environ["RETELL_BASE_URL"] = provider.url
        worker = create_worker(
            WorkerSettings, redis_settings=settings, burst=True, handle_signals=False
        )
        await worker.main()
        await worker.close()
        await jobs.aclose(close_connection_pool=True)
        return provider.workspace.truth()


def test_each_job_places_one_call() -> None:
    with RedisServer() as redis:
        truth = asyncio.run(campaign(redis.url, [f"+1213555{lead:04}" for lead in range(3)]))
    assert truth.placed == 3
    assert truth.refusals > 0


async def late_job() -> None:
    """Run a job again that was enqueued an hour ago: its key may be forgotten."""
    enqueued = datetime.now(UTC) - timedelta(hours=1)
    async with callguard.open_gate(source=callguard.FixedLimit(5)) as gate:
        context = {"gate": gate, "retell": None, "job_id": "1", "enqueue_time": enqueued}
        with pytest.raises(callguard.AdmissionTimeout):
            await place_call(context, "+12135550000")


def test_a_late_job_dials_nobody() -> None:
    asyncio.run(late_job())
