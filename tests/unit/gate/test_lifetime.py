"""Opening, closing, and using a gate in ways that can't work."""

from __future__ import annotations

import asyncio
import math

import pytest

import callguard
from callguard import Gate, GateClosed, Lane, UsageError
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


def test_closing_fails_the_waiters_and_ends_every_task() -> None:
    """Callers would hang on a closed gate, or a task would outlive it."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b")
            await settle()
            fetcher.latency = 5.0
            await asyncio.sleep(1.5)
        await settle()
        for name in ("a", "b"):
            error = crowd.task(name).exception()
            assert isinstance(error, GateClosed)
            assert not isinstance(error, UsageError)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_closed_gate_says_so() -> None:
    """A caller that kept the gate too long would hang, or be admitted uncounted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            pass
        for attempt in (gate, gate.admit(), gate.try_admit()):
            with pytest.raises(GateClosed, match="closed"):
                async with attempt:
                    pass
        with pytest.raises(GateClosed, match="closed"):
            gate.explain()
        assert gate.statistics().admitted == 0
        assert "closed" in repr(gate)

    run(main())


def test_who_tries_or_dials_as_the_gate_closes_is_told_so_too() -> None:
    """A caller that doesn't wait would get the error of a misuse, or of the counter."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)

        async def attempt() -> None:
            async with gate.try_admit():
                pass

        async def dial(_permit: object) -> None:
            raise AssertionError("nobody dials")

        async with opened(fetcher) as gate:
            async with gate.admit() as held:
                fetcher.latency = 5.0
                await asyncio.sleep(1.5)
                attempts = [asyncio.create_task(attempt()), asyncio.create_task(gate.place(dial))]
                await settle()
                assert not any(task.done() for task in attempts)
                held.placed()
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [GateClosed, GateClosed]

    run(main())


def test_a_gate_belongs_to_its_event_loop() -> None:
    """Two loops would change one ledger at once."""

    async def main() -> Gate:
        async with opened(ScriptedSource(limit=5)) as gate:

            async def elsewhere() -> None:
                for attempt in (gate, gate.admit(), gate.try_admit()):
                    with pytest.raises(UsageError, match="another event loop"):
                        async with attempt:
                            pass

            thread = asyncio.to_thread(asyncio.run, elsewhere())
            await thread
            return gate

    asyncio.run(main())


def test_a_lane_is_given_by_name_or_as_it_was_opened() -> None:
    """A misspelt lane would be admitted on somebody else's rules."""

    async def main() -> None:
        urgent = Lane("urgent", burst=5)
        async with opened(ScriptedSource(limit=5), urgent) as gate:
            for lane in ("urgent", urgent, Lane("urgent", burst=5)):
                async with gate.admit(lane) as permit:
                    assert permit.lane is urgent
            with pytest.raises(UsageError, match="no lane 'urgnet', only 'urgent', 'default'"):
                gate.admit("urgnet")
            with pytest.raises(UsageError, match="which is not"):
                gate.try_admit(Lane("urgent", burst=6))
            with pytest.raises(UsageError):
                gate.explain("urgnet")

    run(main())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": -1.0}, "ttl"),
        ({"ttl": math.inf}, "ttl"),
        ({"max_age": math.nan}, "max_age"),
        ({"max_age": 0.5}, "max_age must be at least ttl"),
        ({"ring_limit": -0.1}, "ring_limit"),
        ({"counter_lag": -2}, "counter_lag"),
        ({"min_interval": -2}, "min_interval"),
        ({"lanes": [Lane("a"), Lane("a")]}, "two are 'a'"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(
    options: dict[str, object], message: str
) -> None:
    """A typing error in an option would change what the gate promises."""

    async def main() -> None:
        with pytest.raises(ValueError, match=message):
            async with callguard.open_gate("key_x", **options):  # type: ignore[arg-type]
                pass

    run(main())


def test_a_missing_key_says_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer would not know what to do."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)

    async def main() -> None:
        with pytest.raises(UsageError, match="RETELL_API_KEY"):
            async with callguard.open_gate():
                pass

    run(main())
