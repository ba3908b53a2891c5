"""The command `callguard doctor`: its options, its output and its exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from callguard.cli import main
from callguard.cli.doctor_findings import exit_code
from callguard.cli.doctor_setup import Options
from callguard.cli.exits import ExitCode
from callguard.cli.setup_options import parse_cps, parse_lane, parse_trunk
from callguard.doctor import Finding, Setup, Severity
from callguard.lanes import DEFAULT_LANE, Lane
from callguard.trunks import Trunk


def test_lanes_and_trunks_are_those_of_the_gates() -> None:
    """Another lane than the gates' own would be examined."""
    assert parse_lane("bulk") == Lane("bulk")
    assert parse_lane("urgent:burst=5,reserve=2") == Lane("urgent", burst=5, reserve=2)
    said = "a:burst=all,priority=-1,max_wait=2.5,max_waiting=7"
    assert parse_lane(said) == Lane("a", priority=-1, burst="all", max_wait=2.5, max_waiting=7)
    assert parse_trunk("twilio:cps=5,calls=50") == Trunk("twilio", cps=5.0, calls=50)
    said = "b:cps=30,window=5,longest_call=60"
    assert parse_trunk(said) == Trunk("b", cps=30.0, window=5.0, longest_call=60.0)
    assert parse_trunk("gateway:cps=none") == Trunk("gateway", cps=None)
    assert (parse_cps("2.5"), parse_cps("none")) == (2.5, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lane", "a:bursts=5"], "'bursts' is no setting; they are priority, reserve, burst"),
        (["--lane", "a:burst"], "burst needs a value, as in a:burst=5"),
        (["--lane", "a:burst="], "burst needs a value, as in a:burst=5"),
        (["--lane", "a:burst=x"], "burst must be a whole number or all, got 'x'"),
        (["--lane", "a:reserve=two"], "reserve must be a whole number, got 'two'"),
        (["--trunk", "a:cps=x"], "cps must be a number or none, got 'x'"),
        (["--lane", "a:max_wait=-1"], "max_wait must be at least 0 s, got -1.0"),
        (["--lane", "a:reserve=-1"], "reserve must be at least 0"),
        (["--lane", ":reserve=1"], "a name must come first, as in NAME:priority=-1"),
        (["--trunk", ""], "a name must come first, as in NAME:cps=5"),
        (["--lane", "a", "--lane", "a"], "names of their own"),
        (["--trunk", "a:cps=0"], "a second, or none for no rate, got 0.0"),
        (["--trunk", "a:cps=none,window=5"], "with a rate, and cps is none"),
        (["--trunk", "default:cps=5"], "the trunk of calls that name none, and its rate is --cps"),
        (["--cps", "fast"], "--cps must be a number or none"),
        (["--cps", "0"], "--cps must be between 0.001 and 1,000,000 calls a second, or none"),
        (["--webhook-url", "hooks.example"], "--webhook-url must begin with http"),
        (["--webhook-url", "https://["], "--webhook-url must begin with http"),
        (["--name", ""], "--name must be text"),
        (["--average-call", "0"], "--average-call must be more than 0 s"),
    ],
)
def test_options_that_can_not_be_right(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error would end in a traceback, or examine something else."""
    assert main(["doctor", *arguments, "--json"]) == ExitCode.WRONG_USE
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert json.loads(captured.out)["exit"] == ExitCode.WRONG_USE


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        (["ok"], ExitCode.OK),
        (["note", "ok"], ExitCode.OK),
        (["unknown", "note"], ExitCode.FULL),
        (["warning", "unknown"], ExitCode.FAILED),
        (["error"], ExitCode.FAILED),
    ],
)
def test_exit_code(severities: Sequence[Severity], code: ExitCode) -> None:
    """A script would dial where something is wrong, or take what nobody knows for right."""
    assert exit_code([Finding("key", each, "it is") for each in severities]) == code


def test_without_a_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Who has set nothing yet would see a traceback, or a setup without faults."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    monkeypatch.delenv("RETELL_BASE_URL", raising=False)
    assert main(["doctor"]) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "error\tkey\tno API key"
    assert lines[2] == "\t\t→ set RETELL_API_KEY to a key from the provider's dashboard"
    assert lines[-1] == "1 error, 1 unknown, 2 ok"


def options(**given: Any) -> Options:
    """The options as the command has them if only these are given."""
    nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Options))
    defaults = {"lanes": [], "trunks": [], "average_call": 60.0, "allow_plain_http": False}
    return Options(**nothing | defaults | given)


FILE = """
provider_url = "http://far.example"
allow_plain_http = true

[workspace]
cps = 3.0
ledger = "redis://localhost:6379"
lanes = [{name = "bulk", reserve = 2}]
trunks = [{name = "twilio", cps = 5.0}]
"""


def test_the_configuration_of_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another setup than the proxy's own would be examined."""
    for name in [each for each in os.environ if each.startswith(("CALLGUARD_", "RETELL_"))]:
        monkeypatch.delenv(name)
    file = tmp_path / "callguard.toml"
    file.write_text(FILE, "utf-8")
    assert options(config=file).setup() == Setup(
        base_url="http://far.example",
        allow_plain_http=True,
        lanes=[Lane("bulk", reserve=2)],
        trunks=[Trunk("default", cps=3.0), Trunk("twilio", cps=5.0)],
        ledger="redis://localhost:6379",
    )
    given = options(
        config=file,
        lanes=["urgent"],
        trunks=["telnyx"],
        cps="none",
        ledger="unix:///redis",
        base_url="https://near.example",
    ).setup()
    assert given.lanes == [Lane("urgent")]
    assert given.trunks == [Trunk("default", cps=None), Trunk("telnyx")]
    assert (given.ledger, given.base_url) == ("unix:///redis", "https://near.example")
    assert options().setup() == Setup(lanes=[DEFAULT_LANE], trunks=[Trunk("default")])


def test_a_configuration_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt setting would be left out without a word."""
    file = tmp_path / "callguard.toml"
    file.write_text("[workspace]\nlane = []\n", "utf-8")
    assert main(["doctor", "--config", str(file)]) == ExitCode.WRONG_USE
    assert "did you mean lanes?" in capsys.readouterr().err
    assert main(["doctor", "--config", str(tmp_path / "none")]) == ExitCode.WRONG_USE
    assert "can't be read" in capsys.readouterr().err
