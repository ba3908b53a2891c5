"""A gate that drains: nobody new, and a wait until all is known of the calls that go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callguard import Gate, GateClosed, GateDraining, Lane, LimitsUnavailable, Permit, UsageError
from callguard.events import Event, LeftQueue
from callguard.fetcher import CallState
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle


async def _one_placed(gate: Gate) -> Permit:
    async with gate.admit() as permit:
        permit.placed("call_a")
    return permit


def _now() -> float:
    return asyncio.get_running_loop().time()


def test_nobody_is_admitted_by_any_door_and_who_waits_is_told() -> None:
    """A worker that is to stop would dial on, or hang with its callers."""

    async def main() -> None:
        events: list[Event] = []
        async with opened(ScriptedSource(limit=1), listener=events.append) as gate:
            crowd = Crowd(gate)
            crowd.send("holder", "waiter")
            await settle()
            draining = asyncio.create_task(gate.drain())
            await settle()
            for door in (gate, gate.admit(), gate.try_admit()):
                with pytest.raises(GateDraining, match="draining"):
                    async with door:
                        pass
            with pytest.raises(GateDraining, match="draining"):
                await gate.place(lambda _: settle())
            with pytest.raises(GateDraining, match="began to drain"):
                await crowd.task("waiter")
            assert "draining" in repr(gate)
            assert [event.why for event in events if isinstance(event, LeftQueue)] == ["closed"]
            crowd.dismiss(["holder"])
            await draining
            await crowd.disperse()

    run(main())


def test_it_returns_at_once_where_nothing_goes_on_and_again_when_asked_again() -> None:
    """A worker without a call would not stop before it is killed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            began = _now()
            await gate.drain()
            await gate.drain()
            assert _now() == began

    run(main())


def test_a_placed_call_is_waited_for_until_a_snapshot_counts_it() -> None:
    """A worker would leave before the next one could know of its calls from the count."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher, counted_after=30.0) as gate:
            await asyncio.sleep(100)
            began = _now()
            await _one_placed(gate)
            await asyncio.gather(gate.drain(), gate.drain())
            assert _now() - began == pytest.approx(31, abs=1.0)
            assert gate.statistics().usage.uncounted == 0
            asked = len(fetcher.asked)
            await asyncio.sleep(100)
            assert len(fetcher.asked) <= asked + 1

    run(main())


@pytest.mark.parametrize("asks", [False, True])
def test_evidence_ends_it_earlier(asks: bool) -> None:
    """A worker that is told of its calls' ends would wait half a minute for nothing."""

    async def ask(_: str) -> CallState:
        return CallState(over=True)

    async def main() -> None:
        async with opened(
            ScriptedSource(limit=5), counted_after=30.0, ask=ask if asks else None
        ) as gate:
            await _one_placed(gate)
            began = _now()
            if not asks:
                asyncio.get_running_loop().call_later(3.0, gate.note_ended, "call_a")
            await gate.drain()
            assert _now() - began < 4.0

    run(main())


def test_readings_that_fail_meanwhile_are_tried_again() -> None:
    """An outage as a worker stops would keep it for ever."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            await _one_placed(gate)
            draining = asyncio.create_task(gate.drain())
            fetcher.error = LimitsUnavailable("away")
            await asyncio.sleep(60)
            assert not draining.done()
            fetcher.answer(limit=5)
            await draining

    run(main())


def test_a_refused_call_is_not_dialled_again() -> None:
    """A call would go out after the worker was told to stop, or it would wait for ever."""

    async def main() -> None:
        dials = 0

        async def dial(_: Permit) -> None:
            nonlocal dials
            dials += 1
            await asyncio.sleep(5)
            raise Refusal

        async with opened(ScriptedSource(limit=5)) as gate:
            placing = asyncio.create_task(gate.place(dial))
            await settle()
            await gate.drain()
            with pytest.raises(GateDraining):
                await placing
            assert dials == 1

    run(main())


def test_cancelling_it_leaves_the_gate_draining() -> None:
    """A deadline for stopping would open the gate again."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                other = asyncio.create_task(gate.drain())
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(10):
                        await gate.drain()
                with pytest.raises(GateDraining):
                    await gate.admit().__aenter__()
                assert not other.done()
                permit.cancel()
            await other

    run(main())


def test_closing_ends_it_and_a_closed_gate_does_not_drain() -> None:
    """Whoever waits for a gate that was closed meanwhile would wait for ever."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            permit = await gate.admit().__aenter__()
            draining = asyncio.create_task(gate.drain())
            await asyncio.sleep(10)
            await gate.aclose()
            with pytest.raises(GateClosed, match="while it was draining"):
                await draining
            with pytest.raises(GateClosed, match="is closed"):
                await gate.drain()
            permit.placed()
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_it_is_asked_for_in_the_loop_of_the_gate() -> None:
    """A signal's thread would change what only the loop may, and hang."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            for _ in range(2):
                with pytest.raises(UsageError, match="another event loop"):
                    await asyncio.to_thread(asyncio.run, gate.drain())
                await gate.drain()

    run(main())


@pytest.mark.parametrize("end", ["drain", "aclose"])
def test_who_looks_for_a_free_place_in_the_queue_as_the_gate_ends_is_told_too(end: str) -> None:
    """A caller that found the queue full a moment ago would join it when nobody is served."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0), Lane("a", max_waiting=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("first", lane="a")
            await settle()
            second: Any = gate.admit("a").__aenter__()
            second.send(None)  # it finds the queue full, and looks again
            await getattr(gate, end)()
            with pytest.raises(GateClosed):
                second.send(None)
            await crowd.disperse()

    run(main())
