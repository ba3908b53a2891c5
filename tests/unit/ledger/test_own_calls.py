"""Whose the calls are, by what stands on the server of a shared ledger."""

from __future__ import annotations

import pytest

from callguard.ledger.redis.own_calls import OwnCalls

HOUR = 3_600_000
NOW = 100 * HOUR


def listed(permit: str, age: int, longest: int = 2 * HOUR) -> list[str]:
    """An own call that was placed so many ms ago, and may go on for so many on its trunk."""
    over = NOW - age + longest
    return [f"t {over + 10**12:013d} {permit}", f"#{permit} t {over} {longest}"]


LISTED = [*listed("a-1", 0), *listed("a-2", 2 * HOUR - 1)]

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
        ({"ghosts": "2"}, 2),
        ({"ghosts": "10"}, 1),
        ({"ghosts": "2", "opened": str(NOW - HOUR)}, 9),
    ],
)
def test_the_most_of_own_calls(facts: dict[str, str], most: int | None) -> None:
    """People would take calls of their own for others', or the other way round."""
    assert OwnCalls.found(FACTS | facts, LISTED, NOW).most == most


@pytest.mark.parametrize(("age", "most"), [(2 * HOUR - 1, 3), (2 * HOUR, 2), (20 * HOUR, 2)])
@pytest.mark.parametrize("longest", [HOUR, 2 * HOUR])
def test_a_call_that_has_lasted_as_long_as_any_can_is_over(
    age: int, most: int, longest: int
) -> None:
    """A call whose end nobody reports would be shown as an own one for ever."""
    assert OwnCalls.found(FACTS, [*LISTED, *listed("a-3", age, longest)], NOW).most == most


def test_given_up_is_only_what_was_believed() -> None:
    """People would be warned of a setting that no gate has."""
    refused = {"refused_once": "1"}
    assert OwnCalls.found(FACTS | refused, LISTED, NOW).given_up
    assert not OwnCalls.found(FACTS, LISTED, NOW).given_up
    assert not OwnCalls.found(refused, LISTED, NOW).given_up
    both = OwnCalls.found(FACTS | {"ends": "1"} | refused, LISTED, NOW)
    assert both.given_up == ("reserved_inbound", "ends_free_at_once")
