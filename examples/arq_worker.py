"""Dial from arq jobs, with one gate in each worker: ``arq arq_worker.WorkerSettings``.

The workers share one limit through the Redis server at REDIS_URL. The idempotency key is the job's
id, and not the permit's: if arq runs a job again, because its worker was stopped, the provider
still places one call. ``pytest examples/arq_worker.py`` needs arq and a Redis server.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import create_worker, func
from retell import AsyncRetell

import callguard
from callguard.simulator import Truth, serve
from callguard.testing import RedisServer


async def startup(context: dict[str, Any]) -> None:
    context["gate"] = await callguard.connect(ledger=os.environ["REDIS_URL"])
    context["retell"] = AsyncRetell()


async def shutdown(context: dict[str, Any]) -> None:
    await context["gate"].aclose()
    await context["retell"].close()


async def place_call(context: dict[str, Any], number: str) -> str:
    """Call a number as soon as a call fits, and return the call's id."""
    async with context["gate"].admit() as permit:
        call = await context["retell"].call.create_phone_call(
            from_number="+14157774444", to_number=number, idempotency_key=context["job_id"]
        )
        permit.placed(call.call_id)
        return str(call.call_id)


class WorkerSettings:
    functions = (func(place_call, timeout=3600.0),)  # longer than the queue
    on_startup = startup
    on_shutdown = shutdown
    max_jobs = 1000  # most of them only wait


async def campaign(redis: str, numbers: list[str]) -> Truth:
    """A job for each number, and a worker that does them all."""
    settings = RedisSettings.from_dsn(redis)
    jobs = await create_pool(settings)
    for number in numbers:
        await jobs.enqueue_job("place_call", number)
    async with serve(limit=5) as provider:
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
    assert (truth.placed, truth.refusals) == (3, 0)
