"""What a worker makes of the times that the ledger's server shows."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from callguard.ledger.redis.ledger_clock import JITTER, LedgerClock

SECONDS = st.floats(0.0, 1e6)
SHORT = st.floats(0.0, 1.0)


@given(ahead=SECONDS, sent_at=SECONDS, out=SHORT, ago=SHORT)
def test_no_moment_of_the_ledgers_is_later_than_it_was(
    ahead: float, sent_at: float, out: float, ago: float
) -> None:
    """A snapshot would seem to be younger than a change that it can't show, and be the last."""
    clock = LedgerClock(lambda: sent_at + out)
    clock.showed(shown(sent_at + out + ahead) / 1000, sent_at)
    was_at = sent_at + out - ago
    assert clock.local(shown(was_at + ahead)) <= was_at + 1e-9


@given(ahead=SECONDS, sent_at=SECONDS, out=st.floats(0.0, JITTER), later=SECONDS)
def test_a_workers_word_is_not_behind_the_ledgers_clock(
    ahead: float, sent_at: float, out: float, later: float
) -> None:
    """The ledger's clock would be held back by a worker that is right."""
    clock = LedgerClock(lambda: sent_at + out)
    clock.showed(shown(sent_at + out + ahead) / 1000, sent_at)
    word = clock.word(sent_at + out + later)
    assert word is not None
    assert word[0] >= shown(sent_at + out + later + ahead)


def shown(seconds: float) -> int:
    """How the ledger's clock shows a moment: whole milliseconds, and the rest is cut off."""
    return math.floor(seconds * 1000)
