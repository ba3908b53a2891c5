"""What the snapshots in hand leave to others."""

from __future__ import annotations

import math

import pytest

from callguard.in_hand import MOST, WINDOW, InHand

LAG = 2.0


def in_hand(*counts: int, own: int = 5, counted: int = 5) -> InHand:
    """Snapshots of these counts, a second apart from 10 s on; each took no time."""
    found = InHand(LAG)
    for second, count in enumerate(counts, start=10):
        at = float(second)
        found.record(count, own=own, counted=counted, began=at, received=at)
    return found


def test_the_latest_snapshot_alone_leaves_what_it_counts_beyond_own_calls() -> None:
    """Without evidence the usage would not be what it is by the plain rule."""
    assert in_hand().others == 0
    assert in_hand(8).others == 3
    assert in_hand(3).others == -2, "ghosts are one own call too many, and one of others' too few"


@pytest.mark.parametrize(
    ("ended_after", "others"),
    [(10.5, 3), (10.0, 4), (9.0, 4), (-math.inf, 4)],
)
def test_an_end_surely_after_a_snapshot_leaves_others_as_they_were(
    ended_after: float, others: int
) -> None:
    """A call that ended before a snapshot would be subtracted from a count that lacks it."""
    found = in_hand(8)
    found.end(ended_after)
    assert found.others == others


def test_each_snapshot_judges_an_end_by_its_own_receipt() -> None:
    """An end after an earlier snapshot would be as good as one after the latest."""
    found = in_hand(8, 9, own=6)
    found.end(10.5)
    assert found.others == 3, "by the first; the second may lack the call, and leaves 5"
    found = in_hand(9, 8)
    found.end(10.5)
    assert found.others == 4, "by the first as by the second, which has one more for it"


def test_an_early_snapshot_leaves_no_less_than_a_later_one_proves() -> None:
    """Calls of others that came since the first snapshot would be overlooked for seconds."""
    assert in_hand(5, 7).others == 2


def test_an_own_call_that_a_snapshot_may_count_proves_nothing() -> None:
    """An own call that is counted early would be taken for somebody else's."""
    found = in_hand(5)
    found.record(7, own=7, counted=5, began=11.0, received=11.0)
    assert found.others == 0


@pytest.mark.parametrize(("left_at", "others"), [(10.9, 0), (10.8, 1)])
def test_a_call_that_left_is_counted_for_as_long_as_the_counter_is_late(
    left_at: float, others: int
) -> None:
    """An own call that just ended would be taken for somebody else's, or somebody else's for it."""
    found = in_hand(5)
    found.end(10.5)
    found.leave()
    found.note_time(left_at)
    found.record(5, own=4, counted=4, began=12.9, received=12.9)
    assert found.others == others


def test_a_snapshot_is_in_hand_for_a_while_beside_later_ones() -> None:
    """Others that come would be overlooked for longer than was said."""
    found = InHand(LAG)
    found.record(5, own=5, counted=5, began=0.0, received=0.0)
    found.record(8, own=8, counted=5, began=WINDOW, received=WINDOW)
    assert found.others == 0
    found.record(8, own=8, counted=5, began=WINDOW + 0.1, received=WINDOW + 0.1)
    assert found.others == 3


def test_no_more_snapshots_are_in_hand_than_there_is_time_for() -> None:
    """A gate that reads as fast as it can would compare thousands of snapshots at each end."""
    found = InHand(LAG)
    found.record(5, own=5, counted=5, began=0.0, received=0.0)
    for number in range(MOST):
        assert found.others == 0
        at = 0.001 * number
        found.record(8, own=8, counted=5, began=at, received=at)
    assert found.others == 3


def test_after_a_sleep_only_the_latest_snapshot_is_in_hand_and_frees_nothing() -> None:
    """Others would have had the whole sleep to come, and an end would have no order with it."""
    found = in_hand(5, 8, own=8)
    assert found.others == 0
    found.note_sleep(100.0, 11.0)
    assert found.others == 3
    found.end(11.5)
    assert found.others == 4
    found.record(8, own=7, counted=4, began=11.0 - 100.0, received=12.0 - 100.0)
    found.end(12.5)
    assert found.others == 5, "that one was under way meanwhile"
    found.record(8, own=7, counted=4, began=13.0, received=13.0)
    found.end(13.5)
    assert found.others == 4
