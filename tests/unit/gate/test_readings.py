"""The age of readings, outages, and the key refused while running."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import pairwise

import pytest

from callguard import (
    AdmissionTimeout,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    NoHeadroom,
    open_gate,
)
from callguard.backoff import LONGEST_BACKOFF, backoff
from callguard.gate.opening import OPENS_WITHIN
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle

DOWN = LimitsUnavailable("HTTP 503")


def test_a_reading_past_its_ttl_still_admits_and_is_renewed_in_the_background() -> None:
    """Callers would wait for a request although there is room, or the reading would rot."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            await asyncio.sleep(10.0)
            fetcher.latency = 3.0
            started = asyncio.get_running_loop().time()
            async with gate:
                assert asyncio.get_running_loop().time() == started
            await asyncio.sleep(3.5)
            assert gate.statistics().snapshot_age == pytest.approx(3.5)
            assert len(fetcher.asked) == 2

    run(main())


@pytest.mark.parametrize("answers_after", [0.0, 0.8])
def test_a_gate_that_opens_asks_once(answers_after: float) -> None:
    """The provider would be asked again for nobody, where its answer takes longer than a ttl."""

    async def main() -> None:
        source = ScriptedSource(limit=5, latency=answers_after)
        async with open_gate(source=source, ttl=0.5):
            await asyncio.sleep(5.0)
            assert len(source.asked) == 1

    run(main())


@pytest.mark.parametrize(("age", "admitted"), [(15.0, True), (15.001, False)])
def test_a_reading_past_max_age_admits_nobody(age: float, admitted: bool) -> None:
    """The gate would go on for ever on a count that nobody knows any more."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            await asyncio.sleep(age)
            decision = gate.explain()
            assert decision.admitted is admitted
            assert decision.constraint == (None if admitted else "snapshot too old")

    run(main())


def test_past_max_age_waiters_wait_for_the_outage_to_end_and_then_get_in() -> None:
    """An outage would admit callers blindly, fail them, or keep them after it is over."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            fetcher.error = DOWN
            await asyncio.sleep(20.0)
            crowd = Crowd(gate)
            crowd.send("a", "b")
            await asyncio.sleep(300.0)
            assert crowd.arrived == []
            assert 60 <= gate.statistics().readings["unavailable"] <= 63
            fetcher.answer(limit=5)
            await asyncio.sleep(LONGEST_BACKOFF)
            assert crowd.arrived == ["a", "b"]
            await crowd.disperse()

    run(main())


def test_past_max_age_a_try_fails_with_what_is_wrong() -> None:
    """`try_admit` would say that there is no room when nobody knows."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            fetcher.error = DOWN
            await asyncio.sleep(20.0)
            with pytest.raises(LimitsUnavailable, match=r"older than 15 s.*HTTP 503"):
                async with gate.try_admit():
                    pass

    run(main())


def test_a_try_takes_a_reading_that_is_due_before_it_gives_up() -> None:
    """A caller would be turned away on old news: the first one after a quiet hour."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, current=5)
        async with opened(fetcher) as gate:
            with pytest.raises(NoHeadroom):
                async with gate.try_admit():
                    pass
            assert len(fetcher.asked) == 1
            await asyncio.sleep(3600.0)
            fetcher.answer(limit=5, current=4)
            async with gate.try_admit():
                assert len(fetcher.asked) == 2

    run(main())


def test_a_provider_that_asks_for_patience_gets_it() -> None:
    """A Retry-After would be ignored by the gate's own retries."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        fetcher.error = LimitsUnavailable("HTTP 429", retry_after=30.0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(29.0)
            assert len(fetcher.asked) == 1
            fetcher.answer(limit=5)
            await asyncio.sleep(1.1)
            assert crowd.arrived == ["a"]
            await crowd.disperse()

    run(main())


@pytest.mark.parametrize("ttl", [0.01, 0.2, 1.0, 4.0, 60.0])
def test_the_pause_grows_with_each_failure_in_a_row(ttl: float) -> None:
    """A provider that is down would be hammered, or forgotten."""
    pauses = [backoff(ttl, failures) for failures in range(1, 5000)]
    assert pauses[0] == ttl
    assert pauses[-1] == max(ttl, LONGEST_BACKOFF)
    assert all(now <= then <= max(ttl, 2 * now) for now, then in pairwise(pauses))


@pytest.mark.parametrize("hangs", [0.0, 0.7, 3.0])
def test_in_an_outage_attempts_grow_apart_and_are_never_closer_than_a_ttl(hangs: float) -> None:
    """Every caller, webhook and try would bring down what is down already a little more."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, latency=hangs)
        fetcher.error = DOWN
        async with opened(fetcher) as gate:
            for number in range(600):
                gate.note_ended(f"call_{number}")
                with suppress(LimitsUnavailable, AdmissionTimeout):
                    async with gate.try_admit() if number % 3 else gate.admit(timeout=0.05):
                        pass
                await asyncio.sleep(0.05)
        gaps = [then - now for now, then in pairwise(fetcher.asked)]
        least = [1.0, 2.0, 4.0, *[LONGEST_BACKOFF] * len(gaps)]
        assert all(gap > max(wait, hangs) - 1e-6 for gap, wait in zip(gaps, least, strict=False))
        assert max(gaps) < LONGEST_BACKOFF + 0.25 + 0.2

    run(main())


@pytest.mark.parametrize(("retry_after", "pause"), [(None, 2.0), (30.0, 30.0)])
def test_evidence_never_brings_a_reading_into_the_pause_after_a_fault(
    retry_after: float | None, pause: float
) -> None:
    """A provider in trouble would be asked again at every webhook."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        fetcher.error = LimitsUnavailable("HTTP 503", retry_after=retry_after)
        async with opened(fetcher, min_interval=0.0) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await settle()
            before = len(fetcher.asked)
            gate.note_ended("call_1")
            await asyncio.sleep(pause - 0.01)
            assert len(fetcher.asked) == before
            await asyncio.sleep(0.02)
            assert len(fetcher.asked) == before + 1
            await crowd.disperse()

    run(main())


def test_one_fault_at_opening_is_nobodys_concern() -> None:
    """A script that opens a gate and tries would give up because of one lost packet."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        fetcher.error = DOWN
        asyncio.get_running_loop().call_later(0.5, fetcher.answer, 5)
        async with opened(fetcher) as gate, gate.try_admit():
            assert fetcher.asked == [0.0, 1.0]
            await asyncio.sleep(10.0)
        assert len(fetcher.asked) == 2

    run(main())


def test_a_gate_that_has_opened_in_an_outage_asks_for_nobody() -> None:
    """Workers that idle would keep asking a provider that is down."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        fetcher.error = DOWN
        async with opened(fetcher):
            assert asyncio.get_running_loop().time() <= OPENS_WITHIN
            await asyncio.sleep(100.0)
        assert fetcher.asked == [0.0, 1.0]

    run(main())


@pytest.mark.parametrize("error", [DOWN, LimitsMalformed("not JSON")])
def test_an_outage_does_not_keep_a_gate_from_being_opened(error: LimitsUnavailable) -> None:
    """A worker would not start while the counter is down."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        fetcher.error = error
        async with opened(fetcher) as gate:
            assert gate.explain().constraint == "no snapshot"
            assert gate.statistics().usage.total is None
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(5.0)
            assert crowd.arrived == []
            fetcher.answer(limit=5)
            await asyncio.sleep(LONGEST_BACKOFF)
            assert crowd.arrived == ["a"]
            await crowd.disperse()

    run(main())


def test_a_refused_key_is_told_on_opening() -> None:
    """A wrong key would look like a workspace that is always full."""

    async def main() -> None:
        fetcher = ScriptedSource()
        fetcher.error = LimitsRejected("HTTP 401: Invalid API Key.", status=401)
        with pytest.raises(LimitsRejected, match="Invalid API Key"):
            async with opened(fetcher):
                pass

    run(main())


def test_a_key_refused_later_twice_in_a_row_fails_everyone_who_waits() -> None:
    """Callers would wait for ever on a key that was withdrawn."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b", "c")
            await settle()
            fetcher.error = LimitsRejected("HTTP 401: Invalid API Key.", status=401)
            await asyncio.sleep(1.1)
            assert not any(crowd.task(name).done() for name in "abc")
            await asyncio.sleep(1.0)
            errors = [crowd.task(name).exception() for name in "abc"]
            assert all(isinstance(error, LimitsRejected) for error in errors)
            assert len({id(error) for error in errors}) == 3
            assert gate.statistics().readings["rejected"] == 2
            with pytest.raises(LimitsRejected):
                async with gate.try_admit():
                    pass
            await crowd.disperse()

    run(main())


def test_an_outage_is_two_log_lines_however_long_it_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log would say nothing of an outage, or a line for every attempt."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(5.5)
            fetcher.error = DOWN
            await asyncio.sleep(100.0)
            fetcher.answer(limit=0)
            await asyncio.sleep(5.0)
            await crowd.disperse()

    with caplog.at_level(logging.DEBUG, logger="callguard"):
        run(main())
    began, ended = caplog.records
    assert (began.levelname, ended.levelname) == ("WARNING", "INFO")
    assert began.getMessage() == (
        "the limits can't be read: HTTP 503; the last snapshot is 1.0 s old"
    )
    assert vars(began)["callguard.snapshot_age"] == pytest.approx(1.0)
    assert vars(ended)["callguard.duration"] == pytest.approx(102.0)


def test_an_older_reading_never_replaces_a_newer_one() -> None:
    """A slow answer would undo what a later one has said."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            newest = gate._parts.ledger.snapshot
            assert newest is not None
            stale = type(newest)(newest.limits, newest.began - 1.0, newest.received + 1.0)
            gate._parts.intake.came(stale, 2.0)
            assert gate._parts.ledger.snapshot is newest

    run(main())
