"""The campaigns of trunks with rates, small."""

from __future__ import annotations

import dataclasses

import pytest

from callguard.simulator import CPS_REFUSALS, CpsRefusal, Workspace, WorkspaceSettings
from tests.campaigns.rates import (
    HEADINGS,
    WAYS,
    Case,
    Outcome,
    Seen,
    in_many,
    in_one,
    main,
    number_of,
    row,
)
from tests.support.virtual_time import run


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refusal", CPS_REFUSALS)
@pytest.mark.parametrize("cps", [1.0, 5.0])
def test_no_dial_is_refused_and_the_rate_is_used_up(
    cps: float, refusal: CpsRefusal, way: str
) -> None:
    """A gate would dial faster than it was told, or waste what the trunk takes."""
    outcome = run(in_one(Case(30, cps, refusal, way)))
    assert outcome.good, outcome
    assert outcome.most_dials == cps
    assert outcome.seen.most_used < 20


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("refusal", CPS_REFUSALS)
def test_a_rate_that_was_not_told_shows_in_the_figures(refusal: CpsRefusal, way: str) -> None:
    """The command would end well whatever the gate did."""
    outcome = run(in_one(Case(30, 5.0, refusal, way, told=False)))
    assert outcome.refused
    assert outcome.most_dials > 5
    assert not outcome.good


def test_what_is_amiss_is_not_taken_for_good() -> None:
    """One of the wishes would be printed, and not be held against the run."""
    good = Outcome(0, 0, 0, most_dials=5, seen=Seen(), first=0.2, seconds=6.0, over=1.05)
    assert good.good
    for amiss in ({"refused": 1}, {"lost": 1}, {"twice": 1}, {"over": 1.07}):
        assert not dataclasses.replace(good, **amiss).good


def test_a_call_that_died_at_once_is_a_lead_lost() -> None:
    """A gate that takes a dead call for a placed one would seem to lose nobody."""
    case = Case(2, 1.0, "dead-call", "admit")
    workspace = Workspace(case.settings, lambda: 0.0)
    for lead in range(2):
        workspace.dial(to_number=number_of(lead))
    outcome = Outcome.of(case, workspace, began=0.0, seen=Seen())
    assert (outcome.refused, outcome.lost, outcome.twice) == (1, 1, 0)
    assert outcome.most_dials == 2


def test_the_command_has_a_row_for_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    """A case that was asked for would be left out."""
    assert main(["--leads", "3", "5", "--cps", "5", "--gates", "1", "--processes"])
    table = capsys.readouterr().out.splitlines()[2:]
    assert len(table) == 2 + 2 * len(CPS_REFUSALS) * len(WAYS)
    assert all(len(line.strip("| ").split(" | ")) == len(HEADINGS) for line in table)


@pytest.mark.parametrize("refusal", CPS_REFUSALS)
@pytest.mark.parametrize("cps", [1.0, 5.0])
def test_gates_on_one_ledger_keep_a_rate_together(
    cps: float, refusal: CpsRefusal, redis_url: str
) -> None:
    """Each worker would have the whole rate to itself."""
    outcome = run(in_one(Case(20, cps, refusal, "admit", gates=2), redis_url))
    assert (outcome.refused, outcome.lost, outcome.twice) == (0, 0, 0)
    assert outcome.most_dials == cps


class Unrated(Case):
    """A case whose provider takes dials at any rate."""

    @property
    def settings(self) -> WorkspaceSettings:
        return dataclasses.replace(super().settings, cps=None)


@pytest.mark.slow
async def test_two_processes_keep_a_rate_together(redis_url: str) -> None:
    """Each process would have the whole rate to itself."""
    # A provider with a rate would refuse the dials that a busy machine delays; and however busy it
    # is, the last can't start before its turn.
    case = Unrated(20, 5.0, "dead-call", "place", processes=2)
    outcome = await in_many(case, redis_url)
    assert (outcome.refused, outcome.lost, outcome.twice) == (0, 0, 0)
    assert outcome.first + outcome.seconds > (case.leads - 1) / case.cps
    assert len(row(case, outcome)) == len(HEADINGS)
