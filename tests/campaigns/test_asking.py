"""What asking brings, and that it costs the provider little and the readings nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.campaigns.asking import GETS, LISTS, PROVIDERS, READINGS, carry_out

pytestmark = pytest.mark.slow


def test_300_requests_a_minute_are_enough_for_readings_and_questions() -> None:
    """A third-party server would refuse readings because of questions, or no call be known."""
    provider = replace(PROVIDERS["300 requests a minute"], leads=120)
    asking, silent = carry_out(provider), carry_out(replace(provider, asks=False))
    assert asking.share > silent.share + 0.05
    assert not any(asking.refused[name] for name in (READINGS, LISTS, GETS))
    assert asking.requests[LISTS] + asking.requests[GETS] < 4.5 * asking.placed
    assert silent.requests[LISTS] == silent.requests[GETS] == 0
    assert asking.refusals == silent.refusals == 0
    assert asking.excess <= 0


def test_where_too_many_requests_are_refused_questions_give_way() -> None:
    """Readings and dials would be refused over and over because of questions."""
    found = carry_out(PROVIDERS["100 requests a minute"])
    assert found.refused[READINGS] < 0.1 * found.requests[READINGS]
    assert found.excess <= 0
