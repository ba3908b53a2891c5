"""What a stamp of the provider's proves on our own clock, and what it doesn't."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from callguard.stamps import CALM, DRIFT, RESOLUTION, SLACK, ProviderClock

UNKNOWN = -math.inf


@pytest.mark.parametrize(
    ("date", "began", "received", "stamp", "now", "after"),
    [
        # The provider's clock is 1000 s ahead, as far as its dates say.
        (1010.0, 10.4, 10.6, 1020.0, 30.0, 18.9),
        (1010.0, 10.0, 10.0, 1020.0, 30.0, 18.5),
        # A slow answer may have been made when its request began.
        (1010.0, 5.0, 10.6, 1020.0, 30.0, 13.5),
        # It may be behind, too.
        (10.0, 1010.0, 1010.2, 20.0, 1030.0, 1018.5),
        # Our clock may stand still, or run backwards.
        (1010.0, 10.0, 10.0, 1009.0, 10.0, 7.5),
        (1010.0, 10.0, 10.0, 1009.0, 9.0, 7.5),
    ],
)
def test_a_stamp_lies_after_what_the_latest_possible_clock_shows(
    date: float, began: float, received: float, stamp: float, now: float, after: float
) -> None:
    """An end would be taken for later than it was, and a slot be counted as free that is taken."""
    clock = ProviderClock()
    clock.dated(date - 1.0, began - 1.0, received - 1.0)
    clock.dated(date, began, received)
    assert clock.surely_after(stamp, now) == pytest.approx(after, abs=0.05)
    assert clock.surely_after(stamp, now) <= after


def test_without_a_date_nothing_is_known() -> None:
    """A clock that was never seen would be believed."""
    clock = ProviderClock()
    assert clock.surely_after(1000.0, 5.0) == UNKNOWN
    clock.stamped(1000.0, 5.0)
    assert clock.surely_after(1000.0, 5.0) == UNKNOWN


@pytest.mark.parametrize("seed", range(200))
def test_no_end_is_ever_dated_later_than_it_was(seed: int) -> None:
    """Credit would be given for a call that a snapshot doesn't count any more."""
    draw = random.Random(seed)
    ahead, drift = draw.uniform(-1e6, 1e9), draw.uniform(-DRIFT, DRIFT)
    apart = draw.uniform(-SLACK, SLACK)
    clock = ProviderClock()
    best = math.inf
    for second in range(600):
        made = second + draw.uniform(0.0, 0.2)
        began, received = made - draw.expovariate(10.0), made + draw.expovariate(10.0)
        clock.dated(float(math.floor(made + ahead + drift * made)), began, received)
        over = max(0.0, received - draw.expovariate(1 / draw.choice((0.1, 1.0, 300.0))))
        stamp = math.floor((over + ahead + drift * over + apart) * 1000) / 1000
        clock.stamped(stamp, received)
        after = clock.surely_after(stamp, received)
        assert after <= over
        best = min(best, over - after)
    assert best < 2 * SLACK + RESOLUTION


def set_forward(clock: ProviderClock) -> None:
    clock.dated(1_050.0, 20.0, 20.1)


def set_back(clock: ProviderClock) -> None:
    clock.dated(990.0, 20.0, 20.1)


def a_date_from_a_cache(clock: ProviderClock) -> None:
    clock.dated(1_015.0, 20.0, 20.1)


def a_stamp_of_tomorrow(clock: ProviderClock) -> None:
    clock.stamped(1_030.0, 20.1)


@pytest.mark.parametrize("odd", [set_forward, set_back, a_date_from_a_cache, a_stamp_of_tomorrow])
def test_a_contradiction_is_believed_for_a_while_by_nobody(
    odd: Callable[[ProviderClock], None],
) -> None:
    """A clock that was set would date ends wrongly, or one odd answer end all credit for ever."""
    clock = ProviderClock()
    for second in range(10, 20):
        clock.dated(1_000.0 + second, second + 0.4, second + 0.5)
    assert clock.surely_after(1_019.0, 20.0) > UNKNOWN
    odd(clock)
    assert clock.surely_after(1_019.0, 20.1) == UNKNOWN
    for second in range(21, 20 + int(CALM)):
        clock.dated(1_000.0 + second, second + 0.4, second + 0.5)
        assert clock.surely_after(1_019.0, second + 0.5) == UNKNOWN
    now = 22.1 + CALM
    for moment in (now - 1.0, now):
        clock.dated(1_000.0 + math.floor(moment), moment, moment)
    assert 17.0 < clock.surely_after(1_019.0, now) <= 19.0


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("late", [0, 5])
def test_a_date_from_a_cache_that_contradicts_nothing_proves_nothing(times: int, late: int) -> None:
    """Every end would be dated too late for as long as that bound is the tightest."""
    clock = ProviderClock()
    for second in range(10, 20):
        if second == 10 + late:
            for began in [second + 0.75, second + 0.8][-times:]:
                clock.dated(999.0 + second, began, second + 0.9)
        clock.dated(1_000.0 + second, second + 0.8, second + 0.9)
    assert UNKNOWN < clock.surely_after(1_019.9, 20.0) <= 19.9


def test_a_sleep_of_the_machine_makes_it_begin_anew() -> None:
    """Our clock stands still while the machine sleeps, so the provider's is ahead by more."""
    clock = ProviderClock()
    clock.dated(1_010.0, 10.0, 10.1)
    clock.forget(3600.0, 11.0)
    assert clock.surely_after(4_600.0, 11.0) == UNKNOWN
    clock.dated(4_611.0, 11.0, 11.1)
    clock.dated(4_612.0, 12.0, 12.0)
    assert clock.surely_after(4_611.0, 12.0) == pytest.approx(9.5, abs=0.05)
