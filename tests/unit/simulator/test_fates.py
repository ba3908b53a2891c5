"""What becomes of calls to numbers that have a script."""

from __future__ import annotations

import pytest

from callguard.simulator import (
    BAD_NUMBER,
    BUSY,
    DECLINED,
    FATES,
    NO_ANSWER,
    VOICEMAIL,
    Call,
    Fate,
    Workspace,
    answered,
)
from tests.unit.simulator.support import HandClock, workspace

NUMBER = "+12125550100"


def ended(of: Workspace, clock: HandClock, number: str = NUMBER) -> Call:
    """A call to the number, a long time after it was placed."""
    call = of.dial(to_number=number)
    clock.now += 1000.0
    over = of.call(call.call_id)
    assert over is not None
    return over


@pytest.mark.parametrize(
    ("fate", "status", "reason", "rang", "talked"),
    [
        (BUSY, "not_connected", "dial_busy", 2.0, None),
        (BAD_NUMBER, "not_connected", "invalid_destination", 0.5, None),
        (DECLINED, "not_connected", "user_declined", 8.0, None),
        (NO_ANSWER, "not_connected", "dial_no_answer", 30.0, None),
        (VOICEMAIL, "ended", "voicemail_reached", 20.0, 5.0),
        (answered(12.0, ring_time=3.0), "ended", "user_hangup", 3.0, 12.0),
    ],
)
def test_a_number_has_its_fate(
    fate: Fate, status: str, reason: str, rang: float, talked: float | None
) -> None:
    """A dialer would be tested against another end of the call than the one that was asked for."""
    clock = HandClock()
    call = ended(workspace(clock, numbers={NUMBER: fate}), clock)
    assert (call.status, call.disconnection_reason) == (status, reason)
    assert call.ended_at is not None
    answered_at = call.answered_at or call.ended_at
    assert answered_at - call.placed_at == rang
    assert (None if call.answered_at is None else call.ended_at - answered_at) == talked


def test_each_call_to_a_number_has_its_own_fate_and_the_last_is_for_the_rest() -> None:
    """A dialer that tries a busy number again could not be tested."""
    clock = HandClock()
    of = workspace(clock, numbers={NUMBER: (BUSY, BUSY, answered(1.0))})
    reasons = [ended(of, clock).disconnection_reason for _ in range(4)]
    assert reasons == ["dial_busy", "dial_busy", "user_hangup", "user_hangup"]


def test_a_script_changes_nothing_for_other_numbers() -> None:
    """A scripted number would shuffle the fates of all others."""

    def fates_of_others(**knobs: object) -> list[str | None]:
        clock = HandClock()
        of = workspace(clock, answer_rate=0.5, **knobs)
        calls = [ended(of, clock, f"+1{number % 10}") for number in range(100)]
        return [call.disconnection_reason for call in calls if call.to_number != "+13"]

    assert fates_of_others() == fates_of_others(numbers={"+13": BUSY})


def test_a_call_never_rings_longer_than_the_workspace_lets_it() -> None:
    """A script could bring about what the gate takes for impossible."""
    clock = HandClock()
    call = ended(workspace(clock, ring_limit=4.0, numbers={NUMBER: answered(ring_time=9.0)}), clock)
    assert call.answered_at == 4.0


@pytest.mark.parametrize("times", [(-1.0, None), (float("nan"), None), (1.0, -1.0)])
def test_wrong_fates(times: tuple[float, float | None]) -> None:
    """A slip would simulate something else in silence."""
    with pytest.raises(ValueError, match="at least 0 s"):
        Fate(*times, "user_hangup")


def test_every_usual_fate_has_a_name() -> None:
    """One could not be had from the command line."""
    assert set(FATES.values()) == {BUSY, BAD_NUMBER, DECLINED, NO_ANSWER, VOICEMAIL, answered()}
