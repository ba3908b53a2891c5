"""The command `callguard probe` under a clock that jumps: what it prints, and its exit code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from callguard.cli import main
from callguard.fetcher import ProviderClient
from callguard.simulator import Constant, WorkspaceSettings
from tests.support.virtual_time import VirtualTimeLoop
from tests.unit.probe.workspace_session import WorkspaceSession

WORKSPACE = WorkspaceSettings(
    answer_rate=1.0,
    ring_time=Constant(8.0),
    unanswered_ring=Constant(0.2),
    talk_time=Constant(10.0),
    rise_lag=1.5,
    fall_lag=0.5,
)

Probed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Probed:
    """Runs the command against such a workspace; gives its exit code, its output and its errors."""
    monkeypatch.setenv("RETELL_API_KEY", "key_of_this_test")
    monkeypatch.delenv("RETELL_BASE_URL", raising=False)

    def run(*arguments: str, **knobs: Any) -> tuple[int, str, str]:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, monkeypatch.context() as patch:
            session = WorkspaceSession(replace(WORKSPACE, **knobs), clock=runner.get_loop().time)
            patch.setattr(asyncio, "run", runner.run)
            patch.setattr(
                "callguard.cli.probe.ProviderClient", partial(ProviderClient, session=session)
            )
            numbers = ("--from", "+14155550100", "--to", "+14155550101")
            code = main(["probe", *numbers, "--yes", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("counts_ringing", [True, False])
def test_a_script_gets_what_was_found(probed: Probed, counts_ringing: bool) -> None:
    """A script could not read what was found, or would read something else."""
    code, out, err = probed("--json", counts_ringing=counts_ringing)
    assert code == 0
    found = json.loads(out)
    assert found["clear"] is True
    assert found["counts_ringing"] is counts_ringing
    assert found["rise_lag"]["at_least"] <= 1.5 <= found["rise_lag"]["at_most"]
    assert found["fall_lag"]["at_least"] <= 0.5 <= found["fall_lag"]["at_most"]
    assert found["counter_lag"] > 1.5
    assert found["fall_lag"]["snapshots"] > 3
    assert found["falls_at_once"] is False
    assert found["settings"] == (
        f"callguard.open_gate(counts_ringing={counts_ringing}, counter_lag={found['counter_lag']})"
    )
    assert "placed call call_" in err


def test_people_are_told_what_to_paste(probed: Probed) -> None:
    """The findings could not be read, or not be used."""
    code, out, err = probed()
    assert code == 0
    assert "ringing calls are counted" in out
    assert out.splitlines()[-1].startswith("callguard.open_gate(counts_ringing=True, ")
    assert "it falls at once when a call is over" in out
    assert "the call is ongoing" in out
    assert not err


def test_what_is_not_clear_is_not_guessed(probed: Probed) -> None:
    """A script would take a probe that learned nothing for one that did."""
    plain, plain_out, _ = probed(answer_rate=0.0, counts_ringing=False)
    as_json, json_out, _ = probed("--json", answer_rate=0.0, counts_ringing=False)
    assert (plain, as_json) == (75, 75)
    assert "Not clear, try again: the call was over before" in plain_out
    assert "open_gate" not in plain_out
    found = json.loads(json_out)
    assert (found["clear"], found["counts_ringing"], found["settings"]) == (False, None, None)
