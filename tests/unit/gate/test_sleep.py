"""A machine that sleeps: the loop's clock stands still, and everybody else's goes on."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from callguard import Gate, NoHeadroom
from callguard.clock import Watch
from callguard.errors import LimitsUnavailable
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle

HOUR = 3600.0


def sleep_for(gate: Gate, seconds: float) -> None:
    """The machine sleeps, and wakes before anything of the gate runs."""
    clock = gate._parts.watch.clock
    gate._parts.watch.clock = lambda: clock() + seconds


async def admits(gate: Gate) -> bool:
    try:
        async with gate.try_admit() as permit:
            permit.cancel()
    except (NoHeadroom, LimitsUnavailable):
        return False
    return True


@pytest.mark.parametrize(("slept", "admitted"), [(14.0, True), (16.0, False), (HOUR, False)])
def test_a_reading_from_before_a_sleep_is_as_old_as_it_is(slept: float, admitted: bool) -> None:
    """A laptop that wakes would let calls in by a count of an hour ago."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            fetcher.error = LimitsUnavailable("HTTP 503")
            sleep_for(gate, slept)
            assert await admits(gate) is admitted

    run(main())


def test_what_is_said_after_a_sleep_has_the_age_of_the_reading() -> None:
    """`explain` would say admitted, and `statistics` that the count is fresh."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            sleep_for(gate, HOUR)
            assert gate.explain().constraint == "snapshot too old"
            assert gate.statistics().snapshot_age == pytest.approx(HOUR)

    run(main())


def test_a_slot_that_is_given_back_after_a_sleep_waits_for_a_reading() -> None:
    """Whoever waited would be admitted by the old count, at the first call that ends."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("holding", "waiting")
            await settle()
            fetcher.latency = 3.0
            sleep_for(gate, HOUR)
            crowd.dismiss(["holding"])
            await settle()
            assert crowd.arrived == ["holding"]
            asked = len(fetcher.asked)
            await asyncio.sleep(5.0)
            assert crowd.arrived == ["holding", "waiting"]
            assert len(fetcher.asked) > asked
            await crowd.disperse()

    run(main())


def test_a_reading_that_was_under_way_through_a_sleep_admits_nobody() -> None:
    """Its answer was true when it was given, an hour ago."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("waiting")
            await asyncio.sleep(0.5)
            fetcher.answer(limit=5)
            fetcher.latency = 3.0
            await asyncio.sleep(1.0)
            assert len(fetcher.asked) == 2
            sleep_for(gate, HOUR)
            await asyncio.sleep(3.0)
            assert not crowd.arrived
            await asyncio.sleep(3.0)
            assert crowd.arrived
            await crowd.disperse()

    run(main())


def test_a_gate_that_wakes_reads_and_goes_on() -> None:
    """The gate would stay closed after a sleep, or doubt what it reads after it."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher) as gate:
            for _ in range(3):
                sleep_for(gate, HOUR)
                asked = len(fetcher.asked)
                async with gate.admit() as permit:
                    permit.cancel()
                assert len(fetcher.asked) == asked + 1
                assert gate.statistics().snapshot_age == pytest.approx(0.0)

    run(main())


def test_clocks_that_are_read_one_after_the_other_are_no_sleep() -> None:
    """A machine that is merely busy would lose its readings."""

    async def main() -> None:
        watch = Watch(asyncio.get_running_loop())
        told: list[float] = []
        watch.on_sleep(lambda slept, _: told.append(slept))
        clock = watch.clock
        for moment in (0.01, 0.04, 0.0, 2.0, 2.01, 5.0):
            watch.clock = lambda: clock() + moment  # noqa: B023
            watch.look()
        assert told == pytest.approx([2.0, 3.0])

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="the clock has another name elsewhere")
def test_a_gate_goes_by_the_clock_that_goes_on_while_the_machine_sleeps() -> None:
    """Nothing of this would be seen by a gate that is in use."""

    async def main() -> None:
        async with opened(ScriptedSource()) as gate:
            before = time.clock_gettime(time.CLOCK_BOOTTIME)
            shown = gate._parts.watch.clock()
            assert before <= shown <= time.clock_gettime(time.CLOCK_BOOTTIME)

    asyncio.run(main())
