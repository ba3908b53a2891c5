"""A few seconds of the soak that `python -m tests.campaigns.soak` runs for longer, in real time."""

from __future__ import annotations

from tests.campaigns.soak import carry_out, plan_of
from tests.support.virtual_time import run


def test_every_fault_on_for_a_few_seconds() -> None:
    """Real sockets and real faults would make the gate overshoot, dial twice or leave something."""
    report = run(carry_out(plan_of(seconds=5.0, seed=1)))
    assert report.clean, report
    assert report.placed == report.leads > 0
