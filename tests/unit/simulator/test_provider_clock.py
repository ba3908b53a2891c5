"""The provider's clock."""

from __future__ import annotations

import json
import math

import pytest

from callguard.simulator import (
    Constant,
    Deliveries,
    InvalidSetting,
    SimulatedClock,
    Workspace,
    WorkspaceSettings,
)
from tests.unit.simulator.support import HandClock, workspace

DAY = 86_400.0


def test_stamps_and_dates_are_by_the_same_clock() -> None:
    """How far the provider's clock is ahead could not be told from its dates."""
    clock = SimulatedClock(ahead=DAY + 0.25)
    assert clock.stamp(1.5) == 86_401_750
    assert clock.date(1.5) == "Fri, 02 Jan 1970 00:00:01 GMT"


@pytest.mark.parametrize(
    ("at", "date"),
    [
        (0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (0.999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (1.0, "Thu, 01 Jan 1970 00:00:01 GMT"),
        (-0.001, "Wed, 31 Dec 1969 23:59:59 GMT"),
    ],
)
def test_a_date_is_cut_to_the_second_and_never_ahead(at: float, date: str) -> None:
    """The provider's clock would seem to be ahead when it is on time."""
    assert SimulatedClock().date(at) == date


def test_a_workspace_has_one_that_is_off_by_its_setting() -> None:
    """A provider whose clock is wrong could not be simulated."""
    model = Workspace(WorkspaceSettings(clock_offset=-2.5), HandClock(), epoch=DAY)
    assert model.provider_clock == SimulatedClock(DAY - 2.5)
    assert workspace(HandClock()).provider_clock == SimulatedClock(0.0)


@pytest.mark.parametrize("offset", [math.nan, math.inf, True, "1", None])
def test_offsets_that_can_not_be(offset: object) -> None:
    """A slip would be simulated as some other clock, or fail at the first stamp."""
    with pytest.raises(InvalidSetting, match="clock_offset must be a finite number of seconds"):
        WorkspaceSettings(clock_offset=offset)  # type: ignore[arg-type]


def test_webhooks_are_stamped_by_it() -> None:
    """A webhook and an asked call would tell of different moments."""
    clock = HandClock()
    settings = WorkspaceSettings(
        clock_offset=3600.0, answer_rate=1.0, ring_time=Constant(5.0), talk_time=Constant(10.0)
    )
    model = Workspace(settings, clock)
    deliveries = Deliveries(model)
    model.dial()
    clock.now = 60.0
    started, ended, _ = (json.loads(delivery.body)["call"] for delivery in deliveries.due())
    assert started["start_timestamp"] == 3_605_000
    assert ended["end_timestamp"] == 3_615_000
