"""A premise that is broken is said, and one that holds isn't."""

from __future__ import annotations

import pytest

from tests.campaigns.premises import WORLDS, said_in

KNOWN = "ringing counted, and known", "no evidence"
ALL_SAID = "a rate of 1, said to be 3", "a rate of 1, said to be 1.5"
NONE_SAID = "a rate of 1, and said", "others call in, 1 a minute, and a reserve of 5"


@pytest.mark.parametrize("name", ALL_SAID)
def test_what_is_broken_is_said_within_ten_minutes(name: str) -> None:
    """A setting that is wrong would go on refusing calls, or filling the limit, without a word."""
    breaks = WORLDS[name].breaks
    assert said_in(name, *KNOWN, seed=0)[breaks] < 600.0


@pytest.mark.parametrize("name", NONE_SAID)
def test_what_holds_is_not_doubted(name: str) -> None:
    """A gate whose settings are right would ask for others."""
    assert said_in(name, *KNOWN, seed=0) == {}
