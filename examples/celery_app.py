"""Dial in Celery's tasks: ``celery -A celery_app worker``; it is tried out by pytest.

Each worker process has a gate of its own, opened by its first task, and so after the fork; one
ledger is for all of them. If it can't be opened, as with a wrong key, each task says why.
A task that waits for long gives its process back, and comes again when its turn may have come.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, Task
from celery.signals import worker_process_shutdown
from retell import Retell

import callguard.sync
from callguard.simulator import Constant, Truth, WorkspaceSettings, serve
from callguard.testing import RedisServer

WORLD = WorkspaceSettings(
    limit=3, cps=None, ring_limit=0.2, talk_time=Constant(0.3), rise_lag=0.1, fall_lag=0.1
)

SIMULATED: dict[str, Any] = {"cps": None, "counts_ringing": True, "counter_lag": 0.2, "ttl": 0.1}
"""What is known of the simulated workspace. Leave it out, and RETELL_API_KEY is for your own."""

app = Celery("dialer", broker=os.environ.get("REDIS_URL"), backend=os.environ.get("REDIS_URL"))


@cache
def gate() -> callguard.sync.Gate:
    return callguard.sync.connect(ledger=os.environ["REDIS_URL"], **SIMULATED)


@worker_process_shutdown.connect
def close_gate(**_: object) -> None:
    if gate.cache_info().currsize:
        gate().close()


@app.task(name="dial", bind=True, max_retries=None)
def dial(task: Task, number: str) -> str:
    def create(permit: callguard.sync.Permit) -> Any:
        return Retell().call.create_phone_call(
            from_number="+14157774444",
            to_number=number,
            idempotency_key=permit.id,
            max_retries=0,
        )

    try:
        return str(gate().place(create, idempotent=True, timeout=20.0).call_id)
    except callguard.AdmissionError as error:
        raise task.retry(exc=error, countdown=error.retry_after or 5.0) from error


async def campaign(redis: str) -> tuple[set[str], Truth]:
    """Ten leads by two processes, on a simulated workspace."""
    async with serve(WORLD) as server:
        workspace = {"RETELL_API_KEY": server.api_key, "RETELL_BASE_URL": server.url}
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "celery", "-A", "celery_app", "worker", "--concurrency", "2"),
            env=os.environ | workspace | {"REDIS_URL": redis},
            cwd=Path(__file__).parent,
        )
        app.conf.update(broker_url=redis, result_backend=redis)
        try:
            leads = [await asyncio.to_thread(dial.delay, f"+1213{lead:07}") for lead in range(10)]
            calls = {await asyncio.to_thread(lead.get, timeout=60.0) for lead in leads}
        finally:
            worker.terminate()
            assert await worker.wait() == 0
        return calls, server.workspace.truth()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_processes_share_one_limit() -> None:
    with RedisServer() as redis:
        calls, truth = asyncio.run(campaign(redis.url))
    assert len(calls) == truth.placed == 10
    assert truth.refusals == 0
    assert truth.peak <= 3
