"""Durations and sentences of the page."""

from __future__ import annotations

import pytest

from callguard.serve.page.words import clock, dollars, duration, live, since, unticked, until
from tests.support.overviews import NOW


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0.0 s"),
        (0.0, "0.0 s"),
        (0.72, "0.7 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (412.0, "6 min 52 s"),
        (3599.7, "1 h 0 min"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations_are_as_exact_as_they_are_long(seconds: float, text: str) -> None:
    """A countdown would jump, or a call of an hour would be shown to a tenth of a second."""
    assert duration(seconds) == text


def test_what_goes_on_in_a_sentence_ticks() -> None:
    """The sentence would say "0.4 s ago" until the next update, whatever the clock says."""
    sentence = (
        "denied: 20 of 20 in use (17 reported 0.4 s ago, 1 dialling); yours is next in about 40 s "
        "(p90 95 s); unable to read the limits for 3.2 s, the latest error: no answer in 5 s"
    )
    html = str(live(sentence, NOW))
    assert html.count("data-since") == 2
    assert f'{NOW - 0.4:.1f}">0.4 s</span> ago' in html
    assert f'in about <span data-until="{NOW + 40:.1f}">40 s</span> (p90 95 s)' in html
    assert f'for <span data-since="{NOW - 3.2:.1f}">3.2 s</span>, the' in html


def test_a_sentence_is_escaped_before_anything_else() -> None:
    """A lane's name or a provider's answer would be code on the operator's page."""
    html = live("<b onclick=\"x('in 3 s')\">&</b>", NOW)
    assert "<b" not in html
    assert '"x' not in html
    assert "&amp;" in html


def test_time_alone_is_no_change() -> None:
    """Everybody would get every part anew every second."""
    assert since(NOW, NOW + 1) != since(NOW, NOW + 2)
    assert unticked(since(NOW, NOW + 1)) == unticked(since(NOW, NOW + 2))
    assert unticked(until(NOW + 9, NOW)) == unticked(until(NOW + 9, NOW + 1))
    assert unticked(since(NOW, NOW)) != unticked(since(NOW + 1, NOW + 1))


def test_moments_and_money() -> None:
    """An operator would not know of which clock a time is."""
    assert ">16:00:00 UTC<" in clock(NOW)
    assert dollars(1284.5) == "$1,284.50"
