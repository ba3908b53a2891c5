from __future__ import annotations

from typing import Any

import pytest

from callguard.simulator import DIAL_FAULTS, FAULTS, Fault, Faults

REQUESTS = 2000


def drawn(**knobs: Any) -> list[Fault | None]:
    faults = Faults(**knobs)
    return [faults.next(float(second)) for second in range(REQUESTS)]


def test_none_by_default() -> None:
    """A server without faults would fail."""
    assert set(drawn()) == {None}


def test_rate_and_kinds() -> None:
    """Faults would come more or less often than asked for, or of other kinds."""
    hits = [fault for fault in drawn(rate=0.1) if fault is not None]
    assert len(hits) == pytest.approx(0.1 * REQUESTS, rel=0.2)
    assert set(hits) == set(FAULTS)
    assert set(drawn(rate=1.0, kinds=("cut",))) == {"cut"}


def test_hanging_comes_on_top_and_moves_no_other_fault() -> None:
    """Two runs that differ in how many readings hang would differ in their other faults, too."""
    alone, both = drawn(rate=0.1, kinds=("500",)), drawn(hanging=0.2, rate=0.1, kinds=("500",))
    assert both.count("hang") == pytest.approx(0.2 * REQUESTS, rel=0.2)
    assert [a for a, b in zip(alone, both, strict=True) if b != "hang"] == [
        fault for fault in both if fault != "hang"
    ]
    assert drawn(hanging=1.0) == ["hang"] * REQUESTS


def test_a_fault_by_schedule_goes_before_a_request_that_hangs() -> None:
    """An outage would be another than the one that was scheduled."""
    faults = Faults(hanging=1.0, schedule=((0.0, 10.0, "500"),))
    assert [faults.next(5.0), faults.next(10.0)] == ["500", "hang"]
    assert faults.possible == {"500", "hang"}


def test_seed_replays() -> None:
    """A failing run could not be run again."""
    assert drawn(rate=0.5, seed=3) == drawn(rate=0.5, seed=3)
    assert drawn(rate=0.5, seed=3) != drawn(rate=0.5, seed=4)


def test_kinds_do_not_move_the_hits() -> None:
    """Two runs that differ in the kind of fault would differ in when they fail, too."""
    of_many, of_one = drawn(rate=0.3), drawn(rate=0.3, kinds=("500",))
    assert [hit is None for hit in of_many] == [hit is None for hit in of_one]


def test_schedule() -> None:
    """An outage would begin or end at another moment than it was scheduled for."""
    faults = Faults(schedule=((10.0, 20.0, "500"), (15.0, 30.0, "hang")))
    answers = [faults.next(at) for at in (9.9, 10.0, 15.0, 19.9, 20.0, 29.9, 30.0)]
    assert answers == [None, "500", "500", "500", "hang", "hang", None]


def test_schedule_does_not_shuffle() -> None:
    """Adding an outage would change the random faults after it."""
    plain, scheduled = drawn(rate=0.3), drawn(rate=0.3, schedule=((0.0, 10.0, "hang"),))
    assert scheduled[:10] == ["hang"] * 10
    assert scheduled[10:] == plain[10:]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rate": 1.5}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"rate": 0.5, "kinds": ()}, "kinds"),
        ({"rate": 0.5, "kinds": ("502",)}, "'502'"),
        ({"schedule": ((0.0, 1.0, "slow"),)}, "'slow'"),
        ({"schedule": ((2.0, 1.0, "500"),)}, "can't end"),
    ],
)
def test_wrong_settings(knobs: dict[str, Any], message: str) -> None:
    """A misspelt fault would never come, and the test that asks for it would prove nothing."""
    with pytest.raises(ValueError, match=message):
        Faults(**knobs)


def test_require_only() -> None:
    """A dial would be given a fault that it can't have; or a harmless setting be refused."""
    Faults().require_only(DIAL_FAULTS)
    Faults(rate=0.5, kinds=DIAL_FAULTS, schedule=((0.0, 1.0, "cut"),)).require_only(DIAL_FAULTS)
    with pytest.raises(ValueError, match="429"):
        Faults(schedule=((0.0, 1.0, "429"),)).require_only(DIAL_FAULTS)
