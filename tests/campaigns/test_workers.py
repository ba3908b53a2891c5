"""The campaign of many processes, small."""

from __future__ import annotations

import dataclasses

import pytest

from tests.campaigns.workers import HEADINGS, carry_out, plan_of, row
from tests.shared.support import LEASE

pytestmark = pytest.mark.slow


async def test_two_processes_dial_every_lead_once_though_they_are_killed(redis_url: str) -> None:
    """The command that shows the promise across processes would not run, or would show a breach."""
    plan = plan_of(8, leads=30, workers=2, kill_every=0.5, most_kills=2, lease=LEASE)
    report = await carry_out(plan, redis_url)
    assert report.clean, report
    assert report.kills
    assert len(row(plan, report, report).strip("| ").split(" | ")) == len(HEADINGS)


async def test_a_breach_is_not_taken_for_a_clean_run(redis_url: str) -> None:
    """The command would end well whatever it had seen."""
    report = await carry_out(plan_of(5, leads=5, lease=LEASE), redis_url)
    assert report.clean
    for name, value in {
        "excess": 1,
        "refusals": 1,
        "twice": 1,
        "not_dialled": 1,
        "lost": 1,
    }.items():
        assert not dataclasses.replace(report, **{name: value}).clean
