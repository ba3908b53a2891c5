"""How much less often a gate asks where evidence comes unasked."""

from __future__ import annotations

import asyncio

import pytest

from callguard.fetcher import CallState
from callguard.gate.unasked import MISSED, RAREST, TREND, Unasked
from callguard.premises.lives import PATIENCE
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened
from tests.unit.gate.test_asking import Provider, full


def told(calls: int, *, start: int = 0) -> Unasked:
    """After evidence of so many calls in question came unasked."""
    unasked = Unasked()
    unasked.in_question(f"call_{number}" for number in range(1000))
    for number in range(start, start + calls):
        unasked.came(f"call_{number}", "answered")
    return unasked


@pytest.mark.parametrize(
    ("calls", "rarer"),
    [(0, 1), (TREND - 1, 1), (TREND, 2), (2 * TREND, 4), (3 * TREND, 8), (50 * TREND, RAREST)],
)
def test_questions_are_the_rarer_the_more_comes_unasked(calls: int, rarer: int) -> None:
    """The provider would be asked once a second for what webhooks bring anyway."""
    assert told(calls).rarer(0.0) == rarer


def test_what_is_missed_makes_questions_as_frequent_as_before() -> None:
    """Calls would be in the way for seconds where webhooks have stopped."""
    unasked = told(50 * TREND)
    for number in range(900, 900 + 3 * TREND // MISSED):
        unasked.found(f"call_{number}", "ended", 100.0)
    assert unasked.rarer(100.0 + PATIENCE - 0.1) == RAREST
    assert unasked.rarer(100.0 + PATIENCE) == 1


def test_a_webhook_that_is_a_little_later_than_an_answer_is_not_missed() -> None:
    """Each answer that is ahead of its webhook would bring questions back."""
    unasked = told(3 * TREND)
    unasked.found("call_900", "ended", 100.0)
    unasked.came("call_900", "ended")
    assert unasked.rarer(200.0) == RAREST


def test_what_came_before_is_not_found_out_first() -> None:
    """An answer that repeats a webhook would count as one that the webhook missed."""
    unasked = told(3 * TREND)
    unasked.found("call_0", "answered", 100.0)
    assert unasked.rarer(200.0) == RAREST


def test_a_piece_that_comes_twice_counts_once() -> None:
    """Webhooks that are repeated would hide those that are missing."""
    unasked = told(TREND - 1)
    unasked.came("call_0", "answered")
    assert unasked.rarer(0.0) == 1
    unasked.came("call_0", "ended")
    assert unasked.rarer(0.0) == 2


def test_evidence_about_calls_of_others_counts_nothing() -> None:
    """Webhooks of another agent's calls would keep a gate from asking about its own."""
    unasked = Unasked()
    for number in range(1000):
        unasked.came(f"call_{number}", "ended")
    assert unasked.rarer(0.0) == 1


def test_lists_become_rare_with_webhooks_and_frequent_without() -> None:
    """A gate with webhooks would ask as often as one without, or rarely where they have stopped."""

    async def main() -> None:
        provider = Provider()
        async with full(provider, 100, waiting=200, counter_lag=10_000.0) as (gate, _):
            await asyncio.sleep(2.0)
            for number in range(3 * TREND):
                gate.note_answered(f"call_{number}")
            provider.listed.clear()
            await asyncio.sleep(40.0)
            assert len(provider.listed) == 5
            for number in range(3 * TREND, 4 * TREND):
                provider.states[f"call_{number}"] = CallState(answered=True)
            await asyncio.sleep(16.0)
            provider.listed.clear()
            await asyncio.sleep(20.0)
            assert len(provider.listed) == 20

    run(main())


def test_ends_that_the_caller_reports_come_unasked() -> None:
    """A program that reports everything itself would have its provider asked as well."""

    async def main() -> None:
        provider = Provider()
        source = ScriptedSource(limit=100)
        async with opened(source, questions=provider, counted_after=10_000.0) as gate:
            permits = []
            for number in range(100):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
                permits.append(permit)
            crowd = Crowd(gate)
            crowd.send(*(f"waits {number}" for number in range(100)))
            await asyncio.sleep(2.0)
            for permit in permits[: 3 * TREND]:
                permit.ended()
            await asyncio.sleep(2.0)
            provider.listed.clear()
            await asyncio.sleep(40.0)
            assert 4 <= len(provider.listed) <= 6
            await crowd.disperse()

    run(main())
