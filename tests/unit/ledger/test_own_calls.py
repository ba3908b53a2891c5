"""Whose the calls are, by what stands on the server of a shared ledger."""

from __future__ import annotations

import pytest

from callguard.ledger.redis.own_calls import OwnCalls

HOUR = 3_600_000
NOW = 100 * HOUR

LISTED = ["t 1 a-1", "#a-1 t 1 5", "- 1 a-2", "#a-2 - 1 5"]

FACTS = {"apart": str(2 * HOUR), "longest": str(2 * HOUR), "opened": "1", "older": "9"}


@pytest.mark.parametrize(
    ("facts", "most"),
    [
        ({}, 2),
        ({"apart": "0"}, None),
        ({"unlisted": str(NOW - HOUR)}, None),
        ({"unlisted": str(NOW - 3 * HOUR)}, 2),
        ({"unlisted": str(NOW - 3 * HOUR), "longest": str(4 * HOUR)}, None),
        ({"unlisted": str(NOW - HOUR), "longest": "0"}, None),
        ({"unknown_since": str(NOW - HOUR)}, None),
        ({"opened": str(NOW - HOUR)}, 11),
        ({"refused_once": "1"}, 2),
    ],
)
def test_the_most_of_own_calls(facts: dict[str, str], most: int | None) -> None:
    """People would take calls of their own for others', or the other way round."""
    assert OwnCalls.found(FACTS | facts, LISTED, NOW).most == most


def test_given_up_is_only_what_was_believed() -> None:
    """People would be warned of a setting that no gate has."""
    refused = {"refused_once": "1"}
    assert OwnCalls.found(FACTS | refused, LISTED, NOW).given_up
    assert not OwnCalls.found(FACTS, LISTED, NOW).given_up
    assert not OwnCalls.found(refused, LISTED, NOW).given_up
    both = OwnCalls.found(FACTS | {"ends": "1"} | refused, LISTED, NOW)
    assert both.given_up == ("reserved_inbound", "ends_free_at_once")
