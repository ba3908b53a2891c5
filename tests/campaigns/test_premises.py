"""A premise that is broken is said, and one that holds isn't."""

from __future__ import annotations

import pytest

from tests.campaigns.premises import COUNTED, NOT_COUNTED, WORLDS, said_in

KNOWN = "ringing counted, and known", "no evidence"
ALL_SAID = "a rate of 1, said to be 3", "a rate of 1, said to be 1.5"
NONE_SAID = "a rate of 1, and said", "others call in, 1 a minute, and a reserve of 5"


@pytest.mark.parametrize("name", ALL_SAID)
def test_what_is_broken_is_said_within_ten_minutes(name: str) -> None:
    """A setting that is wrong would go on refusing calls, or filling the limit, without a word."""
    breaks = WORLDS[name].breaks
    assert said_in(name, *KNOWN, seed=0)[breaks] < 600.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "knowledge", "evidence"),
    [
        ("a counter that shows calls after 10 s, said to be 2", COUNTED, "webhooks"),
        ("calls ring for up to 90 s, said to be 30", NOT_COUNTED, "webhooks"),
        ("calls ring for up to 90 s, said to be 30", NOT_COUNTED, "asking"),
        ("ringing is not counted, said to be", NOT_COUNTED, "webhooks"),
    ],
)
def test_what_calls_show_to_be_broken_is_said(name: str, knowledge: str, evidence: str) -> None:
    """The counter would be trusted for more than it does, and nobody would know what to set."""
    said = said_in(name, knowledge, evidence, seed=0)
    assert said[WORLDS[name].breaks] < 600.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a counter 5 s late, and said", "calls ring for up to 90 s, and said"]
)
@pytest.mark.parametrize("evidence", ["asking", "webhooks, 20 % lost, doubled, shuffled, forged"])
def test_what_evidence_shows_to_hold_is_not_doubted(name: str, evidence: str) -> None:
    """A gate whose settings are right would ask for others, because news of a call was late."""
    assert said_in(name, NOT_COUNTED, evidence, seed=0) == {}


@pytest.mark.parametrize("name", NONE_SAID)
def test_what_holds_is_not_doubted(name: str) -> None:
    """A gate whose settings are right would ask for others."""
    assert said_in(name, *KNOWN, seed=0) == {}
