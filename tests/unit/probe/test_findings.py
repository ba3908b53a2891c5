"""The settings that follow from the probe's findings."""

from __future__ import annotations

import inspect

import pytest

import callguard
from callguard.probe.findings import AT_ONCE, AtTheLimit, Findings, Lag

AT_ONCE_LAG = Lag(0.0, AT_ONCE, 5)
LATE_LAG = Lag(0.0, AT_ONCE + 0.1, 5)

COUNTED = "callguard.open_gate(counts_ringing=True"


def learnt(fall: Lag | None, at_the_limit: AtTheLimit | None = None) -> str | None:
    return Findings(True, fall_lag=fall, at_the_limit=at_the_limit).settings


@pytest.mark.parametrize(
    ("fall", "at_the_limit", "settings"),
    [
        (None, None, f"{COUNTED})"),
        (LATE_LAG, None, f"{COUNTED})"),
        (AT_ONCE_LAG, None, f"{COUNTED}, ends_free_at_once=True)"),
        (LATE_LAG, AtTheLimit(), f"{COUNTED})"),
        (LATE_LAG, AtTheLimit("calls"), f"{COUNTED}, ends_free_at_once=True)"),
        (LATE_LAG, AtTheLimit("counter"), f"{COUNTED}, ends_free_at_once=False)"),
        (
            LATE_LAG,
            AtTheLimit("calls", reserved_inbound="outbound"),
            f'{COUNTED}, ends_free_at_once=True, reserved_inbound="outbound")',
        ),
        (
            AT_ONCE_LAG,
            AtTheLimit(reserved_inbound="total"),
            f'{COUNTED}, ends_free_at_once=True, reserved_inbound="total")',
        ),
    ],
)
def test_only_what_was_learnt_is_set(
    fall: Lag | None, at_the_limit: AtTheLimit | None, settings: str
) -> None:
    """If this fails, a setting is recommended that nothing has shown, or one is left out."""
    assert learnt(fall, at_the_limit) == settings


def test_the_settings_can_be_pasted() -> None:
    """If this fails, the probe recommends an argument that `open_gate` doesn't have."""
    findings = Findings(
        True,
        rise_lag=Lag(0.5, 1.0, 5),
        at_the_limit=AtTheLimit("calls", reserved_inbound="outbound"),
    )
    settings = findings.settings
    assert settings is not None
    given: dict[str, object] = eval(settings.replace("callguard.open_gate", "dict"))
    assert given == {
        "counts_ringing": True,
        "counter_lag": 2.0,
        "ends_free_at_once": True,
        "reserved_inbound": "outbound",
    }
    inspect.signature(callguard.open_gate).bind(**given)


@pytest.mark.parametrize(
    "open_question",
    [AtTheLimit(refused_by_reason="others"), AtTheLimit(reserved_inbound_reason="others")],
)
def test_what_was_asked_and_not_answered_is_not_clear(open_question: AtTheLimit) -> None:
    """If this fails, a script takes an experiment that failed for one that succeeded."""
    assert Findings(True, at_the_limit=AtTheLimit()).is_clear
    assert not Findings(True, at_the_limit=open_question).is_clear
