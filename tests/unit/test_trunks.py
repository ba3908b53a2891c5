"""What a trunk may be."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest

from callguard import Trunk
from callguard.trunks import checked_trunks


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, ValueError, "name"),
        ({"name": 5}, TypeError, "5"),
        ({"name": "a", "cps": "1"}, TypeError, "cps"),
        ({"name": "a", "cps": True}, TypeError, "cps"),
        ({"name": "a", "cps": 0}, ValueError, "cps"),
        ({"name": "a", "cps": -1.0}, ValueError, "cps"),
        ({"name": "a", "cps": math.nan}, ValueError, "cps"),
        ({"name": "a", "cps": math.inf}, ValueError, "cps"),
        ({"name": "a", "cps": 5e-324}, ValueError, "cps"),
        ({"name": "a", "window": 0}, ValueError, "window"),
        ({"name": "a", "window": math.inf}, ValueError, "window"),
        ({"name": "a", "window": "5"}, TypeError, "window"),
        ({"name": "a", "cps": None, "window": 5.0}, ValueError, "cps is None"),
        ({"name": "a", "cps": 0.1, "window": 5.0}, ValueError, "0.5"),
    ],
)
def test_a_trunk_that_makes_no_sense_is_refused_by_name(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A typing error would become a rate that nobody meant."""
    with pytest.raises(error, match=message):
        Trunk(**arguments)


@pytest.mark.parametrize(
    ("arguments", "most", "span"),
    [
        ({}, 1, 1.05),
        ({"cps": 5}, 1, 0.21),
        ({"cps": Decimal("0.5")}, 1, 2.1),
        ({"cps": 30, "window": 5.0}, 150, 5.25),
        ({"cps": 0.29, "window": 100}, 29, 105.0),
        ({"cps": 1.5, "window": 1.0}, 1, 1.05),
    ],
)
def test_a_rate_is_so_many_starts_in_so_many_seconds(
    arguments: dict[str, Any], most: int, span: float
) -> None:
    """A carrier would be sent more than it takes, or less by a rounding."""
    trunk = Trunk("a", **arguments)
    assert trunk.most == most
    assert trunk.span == pytest.approx(span)


@pytest.mark.parametrize(
    ("trunks", "error", "message"),
    [
        (Trunk("a"), TypeError, "list"),
        ("a", TypeError, "list"),
        (["a"], TypeError, r"Trunk\('a'\)"),
        ([Trunk("a"), Trunk("a", cps=2)], ValueError, "'a'"),
        ([Trunk("default")], ValueError, "cps="),
    ],
)
def test_trunks_that_can_not_be_told_apart_are_refused(
    trunks: object, error: type[Exception], message: str
) -> None:
    """A call would go by another rate than the one that was meant."""
    with pytest.raises(error, match=message):
        checked_trunks(trunks, None)
