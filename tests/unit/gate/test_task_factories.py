"""Gates on loops whose tasks begin at once, inside of the call that makes them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import pytest

from callguard import Gate, RedisLedger, open_gate
from callguard.events import Admitted, Event
from callguard.fetcher import CallState
from callguard.testing import ScriptedSource
from tests.shared.support import eventually
from tests.support.fake_network import FakeSession, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle

FACTORIES: list[Any] = [None]
if sys.version_info >= (3, 12):
    FACTORIES.append(asyncio.eager_task_factory)


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Callable[..., Any] | None:
    """The task factory of the loop that the test uses."""
    return request.param  # type: ignore[no-any-return]


def test_readings_go_on_though_they_come_at_once(factory: Callable[..., Any] | None) -> None:
    """The first reading would be taken for one under way for ever, and none would follow it."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        fetcher = ScriptedSource(limit=5, current=5)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(10.5)
            assert len(fetcher.asked) == 11
            fetcher.answer(limit=5)
            await asyncio.sleep(1.0)
            assert crowd.arrived == ["a"]
            await crowd.disperse()

    run(main())


def test_a_reading_never_comes_inside_of_the_step_that_wants_it(
    factory: Callable[..., Any] | None,
) -> None:
    """A caller that finds room would see the numbers change under its hands."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            await asyncio.sleep(2.0)
            before = len(fetcher.asked)
            permit = gate.admit()
            with suppress(StopIteration):
                permit.__aenter__().send(None)
            assert permit.state == "dialling"
            assert len(fetcher.asked) == before
            await settle()
            assert len(fetcher.asked) == before + 1
            permit.cancel()

    run(main())


def test_a_call_is_asked_about_once_in_a_round(factory: Callable[..., Any] | None) -> None:
    """An answer that comes at once would begin a second round inside of the first."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        asked = []

        async def ask(call_id: str) -> CallState:
            asked.append(call_id)
            return CallState(over=True)

        fetcher = ScriptedSource(limit=2)
        async with opened(fetcher, counted_after=30.0, ask=ask) as gate:
            for number in range(2):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
            crowd = Crowd(gate)
            crowd.send("a", "b")
            await asyncio.sleep(5.0)
            assert asked == ["call_0", "call_1"]
            assert crowd.arrived == ["a", "b"]
            await crowd.disperse()

    run(main())


def test_whom_the_listener_sends_overtakes_nobody(factory: Callable[..., Any] | None) -> None:
    """A caller that comes while others are admitted would take the next one's slot."""

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        gates: list[Gate] = []
        sent: list[Crowd] = []

        def send_one_more(event: Event) -> None:
            if isinstance(event, Admitted) and not sent:
                sent.append(Crowd(gates[0]))
                sent[0].send("late")

        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher, listener=send_one_more) as gate:
            gates.append(gate)
            crowd = Crowd(gate)
            crowd.send("a", "b")
            await settle()
            fetcher.answer(limit=2)
            await asyncio.sleep(1.1)
            assert crowd.arrived == ["a", "b"]
            assert sent[0].arrived == []
            await crowd.disperse()
            await sent[0].disperse()

    run(main())


async def test_a_gate_that_is_told_a_snapshot_as_it_opens_reads_on(
    factory: Callable[..., Any] | None, redis_url: str, workspace_key: str
) -> None:
    """It would take the snapshot of another gate for a reading under way, and admit nobody."""
    asyncio.get_running_loop().set_task_factory(factory)
    current = 1
    session = FakeSession(lambda *_: limits_reply(current, 1))
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(RedisLedger.from_url(redis_url))
        another = partial(open_gate, workspace_key, session=session, ledger=ledger, ttl=0.5)
        async with another():
            gate = await stack.enter_async_context(another())
            assert len(session.requests) == 1
        crowd = Crowd(gate)
        crowd.send("a")
        await eventually(lambda: len(session.requests) >= 3)
        current = 0
        await eventually(lambda: crowd.arrived == ["a"])
        await crowd.disperse()
