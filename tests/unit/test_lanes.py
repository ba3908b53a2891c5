"""What a lane may be."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import pytest

from callguard import Lane


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, ValueError, "name"),
        ({"name": 5}, TypeError, "5"),
        ({"name": "half a pair \ud83d"}, ValueError, "name"),
        ({"name": "a", "priority": 1.5}, TypeError, "priority"),
        ({"name": "a", "priority": sys.maxsize}, ValueError, "priority"),
        ({"name": "a", "priority": -(2**31)}, ValueError, "priority"),
        ({"name": "a", "reserve": 2**31}, ValueError, "reserve"),
        ({"name": "a", "burst": 2**63}, ValueError, "burst"),
        ({"name": "a", "max_waiting": 2**64}, ValueError, "max_waiting"),
        ({"name": "a", "reserve": -1}, ValueError, "reserve"),
        ({"name": "a", "reserve": True}, TypeError, "reserve"),
        ({"name": "a", "burst": -1}, ValueError, "burst"),
        ({"name": "a", "burst": "some"}, TypeError, '"all"'),
        ({"name": "a", "max_wait": -0.1}, ValueError, "max_wait"),
        ({"name": "a", "max_wait": math.nan}, ValueError, "max_wait"),
        ({"name": "a", "max_wait": "5"}, TypeError, "max_wait"),
        ({"name": "a", "max_waiting": -1}, ValueError, "max_waiting"),
        ({"name": "a", "max_waiting": 2.5}, TypeError, "max_waiting"),
    ],
)
def test_a_lane_that_makes_no_sense_is_refused_by_name(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A typing error would become a rule that nobody meant."""
    with pytest.raises(error, match=message):
        Lane(**arguments)


def test_a_plain_lane_never_bursts_and_reserves_nothing() -> None:
    """A lane that says nothing would cost extra, or waste slots."""
    assert Lane("a") == Lane("a", priority=0, reserve=0, burst=0, max_wait=None, max_waiting=None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"priority": -5},
        {"priority": 2**31 - 1},
        {"priority": 1 - 2**31},
        {"burst": "all"},
        {"max_wait": 0},
        {"max_waiting": 0},
        {"max_wait": math.inf},
    ],
)
def test_edges_are_legal(arguments: dict[str, Any]) -> None:
    """A legal lane would be refused."""
    lane = Lane("a", **arguments)
    assert arguments.items() <= dataclasses.asdict(lane).items()
