"""Cancelling at every point: nothing leaks, and the next in the queue gets in."""

from __future__ import annotations

import asyncio

import pytest

from callguard import Gate
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("give_back_first", [False, True])
def test_a_wait_cancelled_after_any_number_of_turns_leaves_nothing_behind(
    give_back_first: bool,
) -> None:
    """A cancelled caller would take its slot with it, or leave a hole in the queue."""

    async def sweep(turns_before_cancel: int) -> bool:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            crowd.send("victim", "next")
            if give_back_first:
                crowd.dismiss(["holder"])
            await turns(turns_before_cancel)
            if not give_back_first:
                crowd.dismiss(["holder"])
            arrived_first = "victim" in crowd.arrived
            crowd.task("victim").cancel()
            await settle()
            if arrived_first:
                crowd.dismiss(["victim"])
                await settle()
            assert crowd.arrived[-1] == "next"
            assert gate.statistics().usage.total == 1
            crowd.dismiss(["next"])
            await crowd.disperse()
            assert gate.statistics().usage.total == 0
            assert gate.statistics().waiting["default"] == 0
            return arrived_first

    finished = [run(sweep(count)) for count in range(12)]
    assert not finished[0], "the sweep never cancelled a wait"
    assert finished[-1] is give_back_first, "the sweep never reached the end of the wait"


def test_a_slot_granted_to_a_caller_cancelled_at_that_instant_goes_to_the_next() -> None:
    """A granted waiter that is cancelled before it runs would keep the slot for good."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder", "victim", "next")
            await settle()
            crowd.dismiss(["holder"])
            crowd.task("victim").cancel()
            await settle()
            assert crowd.arrived == ["holder", "next"]
            await crowd.disperse()

    run(main())


def test_a_caller_cancelled_before_the_grant_is_passed_over_in_the_same_turn() -> None:
    """A slot would be handed to a caller that is already gone."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder", "victim", "next")
            await settle()
            crowd.task("victim").cancel()
            crowd.dismiss(["holder"])
            await settle()
            assert crowd.arrived == ["holder", "next"]
            assert gate.statistics().admitted == 2
            await crowd.disperse()

    run(main())


def test_a_storm_of_cancellations_leaves_an_empty_queue_and_all_slots() -> None:
    """Cancelled waiters would be remembered, or recurse, or take slots with them."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            storm = [asyncio.create_task(_visit(gate)) for _ in range(5_000)]
            await settle()
            for task in storm:
                task.cancel()
            crowd.dismiss(["holder"])
            await asyncio.gather(*storm, return_exceptions=True)
            statistics = gate.statistics()
            assert (statistics.waiting["default"], statistics.usage.total) == (0, 0)
            await crowd.disperse()

    run(main())


def test_a_timeout_around_the_wait_is_a_cancellation_like_any_other() -> None:
    """`asyncio.timeout` around admit would leak, or not raise its own error."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0)) as gate:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.0), gate.admit():
                    pass
            assert gate.statistics().waiting["default"] == 0
            assert gate.statistics().timed_out == 0

    run(main())


def test_a_try_cancelled_while_it_waits_for_a_reading_leaves_the_reading_to_others() -> None:
    """One caller that gives up would fail all that share its reading."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            await asyncio.sleep(5.0)
            fetcher.answer(limit=5)
            fetcher.latency = 0.5
            first = asyncio.create_task(_try(gate))
            second = asyncio.create_task(_try(gate))
            await settle()
            first.cancel()
            assert await second == "in"
            assert first.cancelled()
            assert len(fetcher.asked) == 2
            assert gate.statistics().usage.dialling == 0

    run(main())


def test_a_cancelled_dial_may_have_reached_the_provider() -> None:
    """A slot would be given back although the call may be going on."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("dialler", "next")
            await settle()
            crowd.task("dialler").cancel()
            await settle()
            assert crowd.arrived == ["dialler"]
            assert gate.statistics().usage.uncounted == 1
            await asyncio.sleep(4.0)
            assert crowd.arrived == ["dialler", "next"]
            await crowd.disperse()

    run(main())


async def _visit(gate: Gate) -> None:
    async with gate.admit():
        raise AssertionError("nobody should get in")


async def _try(gate: Gate) -> str:
    async with gate.try_admit():
        return "in"
