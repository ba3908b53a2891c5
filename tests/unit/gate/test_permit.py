"""What a permit is told, and what that does to the usage."""

from __future__ import annotations

import asyncio

import pytest

from callguard import Lane, Permit
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("dial"),
        TimeoutError(),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
)
def test_leaving_the_block_by_any_error_counts_the_call_as_placed(error: BaseException) -> None:
    """A call that was placed before its dial failed would not be counted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            admission = gate.admit()
            await admission.__aenter__()
            await admission.__aexit__(type(error), error, None)
            assert gate.statistics().usage.uncounted == 1

    run(main())


def test_a_placed_call_is_counted_until_a_reading_that_began_late_enough() -> None:
    """A call that the counter may not show yet would not be counted, or would be for ever."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1, latency=0.3)
        async with opened(fetcher, counted_after=2.0) as gate:
            loop = asyncio.get_running_loop()
            async with gate.admit() as permit:
                await asyncio.sleep(0.5)
                permit.placed("call_1")
                placed_at = loop.time()
                await asyncio.sleep(0.4)
            async with gate:
                assert fetcher.asked[-1] > placed_at + 2.0
                assert fetcher.asked[-2] <= placed_at + 2.0
            assert permit.call_id == "call_1"

    run(main())


def test_a_reading_in_flight_while_a_call_is_placed_does_not_absorb_it() -> None:
    """A reading that began before the call was placed would be taken to count it."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=2)
        async with opened(fetcher, counted_after=0.0) as gate:
            fetcher.latency = 5.0
            async with gate:
                pass
            await asyncio.sleep(1.5)
            async with gate.admit() as permit:  # begins a reading in the background
                permit.cancel()
            await asyncio.sleep(1.0)
            assert len(fetcher.asked) == 2
            async with gate.try_admit():
                pass  # placed while that reading is under way
            await asyncio.sleep(5.0)
            statistics = gate.statistics()
            assert statistics.readings["taken"] == 2
            assert statistics.usage.uncounted == 1

    run(main())


def test_a_call_withdrawn_after_it_was_absorbed_is_not_given_back_twice() -> None:
    """A late cancel would lower the usage below the truth."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, counted_after=0.0) as gate:
            async with gate.admit() as permit:
                pass
            async with gate.admit() as second:
                second.cancel()
            assert gate.statistics().usage.total == 0
            permit.cancel()
            assert gate.statistics().usage.total == 0

    run(main())


def test_ids_are_unique_and_stay_the_same() -> None:
    """A repeated id would make the provider swallow a call, a changing one would place two."""

    async def main() -> None:
        ids = set()
        for _ in range(2):
            async with opened(ScriptedSource(limit=100)) as gate:
                for _ in range(50):
                    async with gate.admit() as permit:
                        assert permit.id == permit.id
                        ids.add(permit.id)
        assert len(ids) == 100
        assert all(len(name) <= 64 and name.isascii() for name in ids)

    run(main())


def test_the_tier_says_what_a_call_costs() -> None:
    """A call that costs a surcharge would look like one that doesn't."""

    async def main() -> None:
        fetcher = ScriptedSource()
        fetcher.answer(limit=2, current=1, burst_limit=6)
        async with opened(fetcher, Lane("urgent", burst=2)) as gate:
            tiers = []
            for _ in range(3):
                async with gate.admit("urgent") as permit:
                    tiers.append(permit.tier)
            assert tiers == ["normal", "burst", "burst"]
            assert gate.explain("urgent").constraint == "lane burst"
            assert gate.explain().constraint == "limit"

    run(main())


def test_a_permit_shows_itself() -> None:
    """A permit in a log would not tell which call it stands for."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            async with gate.admit() as permit:
                assert repr(permit) == (f"<Permit {permit.id} on lane 'default', normal, dialling>")

    run(main())


def test_words_after_the_gate_was_closed_do_no_harm() -> None:
    """A block that outlives its gate would fail on leaving."""

    async def main() -> Permit:
        async with opened(ScriptedSource(limit=9)) as gate:
            admission = gate.admit()
            permit = await admission.__aenter__()
        permit.placed()
        await admission.__aexit__(Refusal, Refusal(), None)
        permit.cancel()
        return permit

    assert "placed" in repr(run(main()))
