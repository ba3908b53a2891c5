"""A few seconds of the soak that `python -m tests.campaigns.soak` runs for longer."""

from __future__ import annotations

import asyncio

import pytest

from tests.campaigns.soak import carry_out, plan_of


@pytest.mark.slow
def test_every_fault_on_for_a_few_seconds() -> None:
    """Real sockets and real faults would make the gate overshoot, dial twice or leave something."""
    report = asyncio.run(carry_out(plan_of(seconds=1.5, seed=1)))
    assert report.clean, report
    assert report.placed == report.leads > 0
