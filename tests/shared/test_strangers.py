"""A client of the user's, whatever it raises."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from callguard import RedisLedger
from callguard.events import Event
from tests.shared.provider import provider
from tests.shared.support import Callers, eventually, sharing


class Odd(BaseException):
    """What no ``except Exception`` catches."""


class FaultyClient(Redis):
    """Fails with `fault` where it is set, in speaking as in listening."""

    fault: type[BaseException] | None = None
    failed: Counter[str]

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        self.fail("speaking")
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pubsub(self, **options: Any) -> PubSub:
        return FaultyBell(self, self.connection_pool, **options)

    def fail(self, doing: str) -> None:
        if self.fault is not None:
            self.failed[doing] += 1
            raise self.fault


class FaultyBell(PubSub):
    def __init__(self, client: FaultyClient, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._client = client

    async def get_message(self, *args: Any, **options: Any) -> Any:
        self._client.fail("listening")
        return await super().get_message(*args, **{**options, "timeout": 0.02})


@pytest.mark.parametrize("kind", [asyncio.CancelledError, Odd, LookupError])
async def test_a_client_that_raises_costs_time_and_nothing_else(
    redis_url: str, workspace_key: str, kind: type[BaseException]
) -> None:
    """Somebody's credential provider that raises oddly would end the exchanges for good."""
    client = cast("FaultyClient", FaultyClient.from_url(redis_url))
    client.failed = Counter()
    async with provider(limit=1) as workspace, client:
        async with sharing(workspace, RedisLedger(client, name=workspace_key)) as gate:
            callers = Callers(gate)
            callers.send(1)
            await callers.have_arrived(1)
            callers.send(1)
            client.fault = kind
            await eventually(lambda: min(client.failed["speaking"], client.failed["listening"]) > 1)
            client.fault = None
            callers.arrived[0].cancel()
            await callers.have_arrived(2)
            await callers.go()
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {name for name in names if name.startswith("callguard")}


async def test_a_listener_that_raises_breaks_no_exchange(
    redis_url: str, workspace_key: str
) -> None:
    """An exchange would be given up half way, again and again, and nobody be admitted."""

    def faulty(event: Event) -> None:
        raise asyncio.CancelledError

    async with (
        provider(limit=1) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, listener=faulty) as gate,
    ):
        callers = Callers(gate)
        callers.send(3)
        for number in range(3):
            (*_, latest) = await callers.have_arrived(number + 1)
            latest.cancel()
        await callers.go()
