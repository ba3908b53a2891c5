"""The provider says no: the count is higher than we knew."""

from __future__ import annotations

import asyncio
import logging

import pytest

from callguard import NoHeadroom
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle


def test_a_refusal_gives_the_slot_back_and_passes_through_unchanged() -> None:
    """The caller would not see its own error, or the refused call would be counted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            refusal = Refusal("busy")
            with pytest.raises(Refusal) as caught:
                async with gate:
                    raise refusal
            assert caught.value is refusal
            statistics = gate.statistics()
            assert (statistics.usage.total, statistics.refused) == (0, 1)

    run(main())


def test_after_a_refusal_nothing_is_admitted_until_a_reading_that_began_later() -> None:
    """The gate would go on dialling on a count that was just proved wrong."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            loop = asyncio.get_running_loop()
            refused_at = loop.time()
            with pytest.raises(Refusal):
                async with gate:
                    raise Refusal
            assert gate.explain().constraint == "snapshot spent"
            with pytest.raises(NoHeadroom) as caught:
                async with gate.try_admit():
                    pass
            assert caught.value.retry_after == pytest.approx(0.25)
            async with gate:
                assert fetcher.asked[-1] == pytest.approx(refused_at + 0.25)

    run(main())


def test_a_reading_in_flight_at_the_refusal_does_not_count_as_later() -> None:
    """A count from before the refusal would open the gate again."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=2)
        async with opened(fetcher) as gate:
            await asyncio.sleep(2.0)
            fetcher.latency = 1.0
            with pytest.raises(Refusal):
                async with gate:  # admitted on the snapshot in hand, which is renewed meanwhile
                    await asyncio.sleep(0.5)
                    raise Refusal
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(0.6)
            assert len(fetcher.asked) == 3
            assert crowd.arrived == []
            await asyncio.sleep(1.0)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_a_refusal_brings_the_next_reading_forward_for_those_who_wait() -> None:
    """Waiters would sit out the whole `ttl` after a refusal."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher) as gate:
            admission = gate.admit()
            await admission.__aenter__()
            crowd = Crowd(gate)
            crowd.send("waiter")
            await settle()
            refusal = Refusal()
            await admission.__aexit__(Refusal, refusal, None)
            await asyncio.sleep(0.26)
            assert crowd.arrived == ["waiter"]
            await crowd.disperse()

    run(main())


def test_an_error_after_the_call_was_placed_is_no_refusal_of_it() -> None:
    """A 429 of some other request in the block would uncount a call that goes on."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(Refusal):
                async with gate.admit() as permit:
                    permit.placed("call_1")
                    raise Refusal
            statistics = gate.statistics()
            assert (statistics.usage.uncounted, statistics.refused) == (1, 0)
            assert gate.explain().admitted

    run(main())


def test_a_refused_permit_that_was_cancelled_first_still_spends_the_reading() -> None:
    """`except RateLimitError: permit.cancel(); raise` would hide what the refusal says."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(Refusal):
                async with gate.admit() as permit:
                    permit.cancel()
                    raise Refusal
            assert gate.statistics().usage.total == 0
            assert gate.explain().constraint == "snapshot spent"

    run(main())


def test_another_predicate_tells_refusals_of_other_providers() -> None:
    """A provider that refuses with a 503 could not be used."""

    async def main() -> None:
        async with opened(
            ScriptedSource(limit=5), refused=lambda error: isinstance(error, LookupError)
        ) as gate:
            with pytest.raises(Refusal):
                async with gate:
                    raise Refusal
            assert gate.statistics().usage.uncounted == 1
            with pytest.raises(KeyError):
                async with gate:
                    raise KeyError
            statistics = gate.statistics()
            assert (statistics.usage.uncounted, statistics.refused) == (1, 1)

    run(main())


def test_a_predicate_that_fails_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A faulty predicate would replace the caller's error, or leak its slot."""

    def faulty(error: Exception) -> bool:
        raise AttributeError("no such thing")

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), refused=faulty) as gate:
            with pytest.raises(ZeroDivisionError):
                async with gate:
                    raise ZeroDivisionError
            assert gate.statistics().usage.uncounted == 1

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert "faulty" in caplog.text
