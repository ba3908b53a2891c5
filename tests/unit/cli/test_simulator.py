"""What `callguard simulator` makes of its options, and what it tells at its end."""

from __future__ import annotations

import inspect
import io
from dataclasses import fields
from typing import Any

import pytest
from rich.console import Console

from callguard.cli import main
from callguard.cli.exits import ExitCode
from callguard.cli.simulator import (
    rated_trunk,
    request_table,
    scheduled_fault,
    scripted_number,
    simulator,
    truth_table,
)
from callguard.simulator import (
    BUSY,
    VOICEMAIL,
    Exponential,
    Faults,
    RequestLimit,
    Truth,
    Uniform,
    WorkspaceSettings,
    answered,
    serve,
)
from tests.unit.demo.support import truth


def refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of wrong arguments, without its frame."""
    assert main(["simulator", *arguments.split()]) == ExitCode.WRONG_USE
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_every_knob_is_an_option() -> None:
    """A knob of the workspace could not be turned from the command line."""
    options = set(inspect.signature(simulator).parameters)
    assert options >= {field.name for field in fields(WorkspaceSettings)}
    # Clocks and the plan for webhooks are for tests in Python; faults have options of their own.
    apart = {"settings", "clock", "epoch", "webhooks", "knobs"}
    needed = set(inspect.signature(serve).parameters) - apart
    assert options >= needed - {"faults", "dial_faults"}


OPTIONS = """
    simulator --port 1234 --api-key k --limit 7 --burst-limit 21 --reserved-inbound 2
    --talk-time exponential:60 --ring-time uniform:1:2 --answer-rate 0.5 --ring-limit 20
    --unanswered-ring 3 --no-counts-ringing --rise-lag 2 --fall-lag 3 --inbound-rate 0.1
    --inbound-talk-time 30 --no-inbound-respects-limit --seed 5 --latency 0.1
    --fault-rate 0.1 --fault 500 --fault cut --fault-at 1:2:hang --dial-fault-rate 0.2
    --dial-fault 500 --dial-fault-at 3:4:cut --no-dial-faults-place
    --webhook-url http://127.0.0.1/hook --number +1555:busy,answered --number +1556:voicemail
    --cps 2.5 --trunk +1557:5 --trunk +1558:none --cps-rule spacing --cps-refusal dead-call
    --clock-offset -2.5 --requests-per-minute 300 --inbound-apart --refuses-by-reported
    --lists-ringing
"""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `serve` was called with, instead of a server."""
    given: dict[str, Any] = {}

    def serve_nothing(settings: WorkspaceSettings, **options: Any) -> None:
        given.update(options, settings=settings)
        raise OSError("no server in this test")

    monkeypatch.setattr("callguard.cli.simulator.serve", serve_nothing)
    return given


def test_defaults(served: dict[str, Any]) -> None:
    """The simulator alone would be another workspace than the one in a test."""
    assert main(["simulator"]) == ExitCode.UNREACHABLE
    defaults = WorkspaceSettings()
    assert served["settings"] == defaults
    assert (served["port"], served["api_key"]) == (8787, "key_simulated")
    assert (served["latency"], served["webhook_url"]) == (None, None)
    assert (served["faults"].possible, served["dial_faults"].possible) == (set(), set())
    assert served["dial_faults_place"] is True


def test_options(served: dict[str, Any]) -> None:
    """An option would be accepted, and change nothing or something else."""
    main(OPTIONS.split())
    settings = served["settings"]
    assert (settings.limit, settings.burst_limit, settings.reserved_inbound) == (7, 21, 2)
    assert (settings.talk_time, settings.ring_time) == (Exponential(60.0), Uniform(1.0, 2.0))
    assert (settings.answer_rate, settings.ring_limit) == (0.5, 20.0)
    assert str(settings.unanswered_ring) == "constant:3.0"
    assert (settings.counts_ringing, settings.inbound_respects_limit) == (False, False)
    assert (settings.rise_lag, settings.fall_lag, settings.inbound_rate) == (2.0, 3.0, 0.1)
    assert (str(settings.inbound_talk_time), settings.seed) == ("constant:30.0", 5)
    assert (served["port"], served["api_key"]) == (1234, "k")
    assert str(served["latency"]) == "constant:0.1"
    assert served["faults"].possible == {"500", "cut", "hang"}
    assert served["dial_faults"].possible == {"500", "cut"}
    assert served["dial_faults_place"] is False
    assert served["webhook_url"] == "http://127.0.0.1/hook"
    assert settings.numbers == {"+1555": (BUSY, answered()), "+1556": (VOICEMAIL,)}
    assert (settings.cps, settings.trunks) == (2.5, {"+1557": 5.0, "+1558": None})
    assert (settings.cps_rule, settings.cps_refusal) == ("spacing", "dead-call")
    assert served["requests_per_minute"] == 300
    assert (settings.inbound_apart, settings.refuses_by_reported) == (True, True)
    assert (settings.clock_offset, served["lists_ringing"]) == (-2.5, True)


def test_hanging_is_a_fault_of_readings_alone(served: dict[str, Any]) -> None:
    """A share of hanging readings would be ignored, or dials would hang, too."""
    main(["simulator", "--hanging", "0.5"])
    assert served["faults"].possible == {"hang"}
    assert served["dial_faults"].possible == set()


def test_no_rate(served: dict[str, Any]) -> None:
    """A workspace without the rule could not be had, since the provider's is the default."""
    main(["simulator", "--cps", "none"])
    assert served["settings"].cps is None


def test_seed_decides_on_the_faults(served: dict[str, Any]) -> None:
    """A run with faults could not be repeated."""

    def drawn(faults: Faults) -> list[str | None]:
        return [faults.next(0.0) for _ in range(50)]

    draws = []
    for seed in ("1", "1", "2"):
        main(["simulator", "--fault-rate", "0.5", "--seed", seed])
        draws.append(drawn(served["faults"]))
    assert draws[0] == draws[1] != draws[2]


def test_scheduled_fault() -> None:
    """An outage would come at another time than it was asked for."""
    assert scheduled_fault("5:10.5:429-retry-after") == (5.0, 10.5, "429-retry-after")
    for text in ("", "5:10", "5:10:500:1", "now:10:500"):
        with pytest.raises(ValueError, match=r"BEGIN:END:KIND|float"):
            scheduled_fault(text)


@pytest.mark.parametrize("text", ["", "busy", ":busy", "+1555:", "+1555:asleep", "+1555:busy,"])
def test_wrong_scripts(text: str) -> None:
    """A number would have another fate than was asked for."""
    with pytest.raises(ValueError, match="--number must"):
        scripted_number(text)


@pytest.mark.parametrize("text", ["", "5", ":5", "+1555:", "+1555:fast", "+1555:0", "+1555:nan"])
def test_wrong_trunks(text: str) -> None:
    """A trunk would have another rate than was asked for, or none."""
    with pytest.raises(ValueError, match=r"--trunk (must|needs)"):
        rated_trunk(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--cps 0", "--cps needs a rate above 0, or none, got '0'"),
        ("--cps inf", "--cps needs a rate above 0"),
        ("--cps None", "--cps needs a rate above 0"),
        ("--cps-rule token-bucket", "--cps-rule must be one of window, spacing"),
        ("--cps-refusal 503", "--cps-refusal must be one of 429, dead-call"),
        ("--hanging 1.5", "--hanging: hanging must be a share from 0 to 1"),
        ("--trunk +1555", "--trunk must be NUMBER:CPS"),
        ("--trunk +1555:fast", "--trunk needs a rate above 0, or none, got 'fast'"),
    ],
)
def test_wrong_rates(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a rate would simulate none, or be told by a name that is no option."""
    assert said in refused(arguments, capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--fault-at 1:2", "--fault-at: a scheduled fault must be BEGIN:END:KIND, got '1:2'"),
        ("--fault-at 2:1:500", "--fault-at: a scheduled fault from 2.0 s can't end at 1.0 s"),
        ("--fault-at 1:2:odd", "--fault-at: a fault here must be one of 500,"),
        ("--fault-rate 2", "--fault-rate: rate must be a share from 0 to 1"),
        ("--fault-rate 1 --fault odd", "--fault: a fault here must be one of 500,"),
        ("--fault 500", "--fault 500 needs --fault-rate above 0"),
        ("--dial-fault-at 1:2", "--dial-fault-at: a scheduled fault must be BEGIN:END:KIND"),
        ("--dial-fault-at 1:2:429", "--dial-fault-at: a fault here must be one of 500, hang, cut"),
    ],
)
def test_wrong_faults(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip would be looked for in an option that is right."""
    assert said in refused(arguments, capsys)


def test_request_table_tells_endpoints_apart() -> None:
    """Whoever asks too often would not learn what for."""
    limit = RequestLimit(per_minute=2)
    for endpoint in ("/get-concurrency", "/v3/list-calls", "/v3/list-calls"):
        limit.has_room(endpoint, 0.0)
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(request_table(limit))
    for row in (
        ("/get-concurrency answered", "1"),
        ("/v3/list-calls answered", "1"),
        ("/v3/list-calls refused", "1"),
    ):
        assert any(all(part in line for part in row) for line in capture.get().splitlines())


def test_truth_table_has_every_field() -> None:
    """Something that the simulator knows would not be shown at its end."""
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(truth_table(truth(peak=21, refusals=4, seconds_over_limit=1.25)))
    shown = capture.get()
    for field in fields(Truth):
        assert field.name.replace("_", " ") in shown
    for row in ("peak", "21"), ("refusals", "4"), ("seconds over limit", "1.2"):
        assert any(all(part in line for part in row) for line in shown.splitlines())
