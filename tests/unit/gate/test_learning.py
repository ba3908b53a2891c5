"""Why a gate without evidence learns nothing: no rule that goes by the counter alone is safe.

A gate that knows nothing of its calls but that they were placed sees the counter rise after a burst
of its own dials. A workspace that counts ringing calls looks so; but so does one that doesn't, when
the calls are answered at once, as machines answer. Nothing that the gate can see tells the two
apart, and where it takes the second for the first, the next burst of calls that ring for long is
dropped from its ledger while nobody counts it. With evidence of answers and ends (webhooks, asking)
they can be told apart: see `callguard.premises.learning`, and `test_ringing.py`.
"""

from __future__ import annotations

from callguard.simulator import Constant, Workspace, WorkspaceSettings

COUNTER_LAG = 2.0
BURST = 10


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def seen_by_the_gate(*, counts_ringing: bool, ring_seconds: float) -> list[object]:
    """The counter, each half second, around a burst of own dials of which no answer is known."""
    clock = Clock()
    workspace = Workspace(
        WorkspaceSettings(
            limit=100,
            cps=None,
            counts_ringing=counts_ringing,
            ring_time=Constant(ring_seconds),
            talk_time=Constant(600.0),
            answer_rate=1.0,
            rise_lag=1.0,
        ),
        clock,
    )
    for _ in range(BURST):
        workspace.dial()
    readings = []
    for half_seconds in range(2 * int(COUNTER_LAG) + 1):
        clock.now = half_seconds / 2
        readings.append(workspace.concurrency()["current_concurrency"])
    return readings


def test_a_rise_by_as_many_as_were_dialled_does_not_say_that_ringing_is_counted() -> None:
    """The two workspaces could be told apart, and learning would be worth another look."""
    quick_answers = seen_by_the_gate(counts_ringing=False, ring_seconds=0.4)
    ringing_counted = seen_by_the_gate(counts_ringing=True, ring_seconds=20.0)
    assert quick_answers[-1] == ringing_counted[-1] == BURST
    assert seen_by_the_gate(counts_ringing=True, ring_seconds=0.4) == ringing_counted


def test_what_it_would_have_learned_drops_calls_that_nobody_counts() -> None:
    """The wrong lesson would be harmless, and learning would be worth another look."""
    slow_answers = seen_by_the_gate(counts_ringing=False, ring_seconds=20.0)
    assert slow_answers[-1] == 0, "live calls that the counter does not show after counter_lag"
