"""What `callguard status` makes of a snapshot, or of there being none."""

from __future__ import annotations

import io
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from callguard.cli import main
from callguard.cli.exits import ExitCode
from callguard.cli.failures import verdict
from callguard.cli.status import Standing
from callguard.decision import Pause
from callguard.errors import (
    CallGuardError,
    LedgerUnavailable,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)
from callguard.ledger.redis.holders import Contents, LedgerPermit, Waiting
from callguard.ledger.redis.own_calls import OwnCalls
from callguard.limits import Limits, Snapshot

BURSTING = Limits(
    current_concurrency=18,
    concurrency_limit=20,
    reserved_inbound_concurrency=2,
    concurrency_burst_enabled=True,
    concurrency_burst_limit=60,
)


CONTENTS = Contents(
    now=1000.0,
    known=True,
    workers=(),
    permits=(
        LedgerPermit("a-1", "web:1", "bulk", 12.0, "uncounted", counted_in=-0.5),
        LedgerPermit("a-2", "web:1", "bulk", 2.0, "uncounted", counted_in=0.5),
        LedgerPermit("a-3", "web:1", "bulk", 0.1, "dialling", counted_in=None),
    ),
    waiting=(Waiting("web:1", "bulk", 1, 40, 3.0), Waiting("web:2", "bulk", 1, 2, 3.0)),
    snapshot=None,
    spent_until=999.9,
    lost_until=0.0,
)


def standing(limits: Limits, contents: Contents | None = None) -> Standing:
    return Standing.of(Snapshot(limits, began=100.0, received=100.25), contents)


def rendered(shown: Standing) -> str:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(shown.as_table())
    return capture.get()


def test_a_workspace_that_is_paused_has_room_for_nobody() -> None:
    """A script would take it that calls can be placed, though no gate admits any."""
    lane = Pause("bulk", None, "web:1", 20.0, "")
    contents = replace(CONTENTS, spent_until=0.0, pauses=(lane,))
    assert standing(Limits(0, 20), contents).exit_code == ExitCode.OK
    everything = Pause(None, None, "web:1", 200.0, "carrier trouble")
    shown = standing(Limits(0, 20), replace(contents, pauses=(lane, everything)))
    assert shown.exit_code == ExitCode.FULL
    assert 'paused from web:1 3 min ago ("carrier trouble")' in str(shown.as_json()["reason"])
    assert shown.as_json()["pauses"] == [asdict(lane), asdict(everything)]
    assert "waiting, not paused" in rendered(shown)


@pytest.mark.parametrize(
    ("limits", "headroom", "with_burst", "code"),
    [
        (Limits(0, 20), 20, 20, ExitCode.OK),
        (Limits(19, 20), 1, 1, ExitCode.OK),
        (Limits(20, 20), 0, 0, ExitCode.FULL),
        (Limits(25, 20), -5, -5, ExitCode.FULL),
        (BURSTING, 0, 40, ExitCode.FULL),
        (Limits(17, 20, 2, False, 60), 1, 1, ExitCode.OK),
        (Limits(90, 100, 0, True, 60), 10, 10, ExitCode.OK),
    ],
)
def test_headroom(limits: Limits, headroom: int, with_burst: int, code: ExitCode) -> None:
    """A script would dial into a full workspace, or not dial into an empty one."""
    shown = standing(limits)
    assert (shown.plain.headroom, shown.burst.headroom) == (headroom, with_burst)
    assert shown.exit_code == code


def test_json_has_every_field() -> None:
    """A script would miss a field of the provider's, or read a 0 where nothing is known."""
    fields = standing(BURSTING).as_json()
    assert fields.items() >= asdict(BURSTING).items()
    assert fields["base_concurrency"] is None
    assert (fields["fits"], fields["headroom"], fields["headroom_with_burst"]) == (False, 0, 40)
    assert fields["seconds"] == 0.25


def test_table() -> None:
    """People would not see what the workspace is at, or take a burst that is off for one."""
    lines = [line.split("│") for line in rendered(standing(BURSTING)).splitlines() if "│" in line]
    rows = {name.strip(): value.strip() for _, name, value, _ in lines}
    assert rows == {
        "in use": "18",
        "limit": "20",
        "reserved for inbound": "2",
        "burst limit": "60",
        "headroom": "0",
        "headroom with burst": "40",
        "read in": "0.25 s",
    }
    assert "off" in rendered(standing(Limits(0, 20, 0, False, 60)))


def test_a_shared_ledger() -> None:
    """A script would dial into slots that gates have given to calls not counted yet."""
    shown = standing(Limits(17, 20), CONTENTS)
    fields = shown.as_json()
    assert (fields["fits"], fields["headroom"], fields["current_concurrency"]) == (True, 1, 17)
    assert (fields["dialling"], fields["uncounted"], fields["waiting"]) == (1, 1, 42)
    assert standing(Limits(18, 20), CONTENTS).exit_code == ExitCode.FULL
    lines = [line.split("│") for line in rendered(shown).splitlines() if "│" in line]
    rows = {name.strip(): value.strip() for _, name, value, _ in lines}
    assert rows.items() >= {"dialling": "1", "uncounted": "1", "waiting": "42"}.items()
    assert "dialling" not in standing(Limits(17, 20)).as_json()


def test_inbound_calls_that_are_counted_apart() -> None:
    """People would read that nothing fits while gates admit, or take inbound calls for ours."""
    limits = Limits(17, 20, reserved_inbound_concurrency=4)
    contents = replace(CONTENTS, own=OwnCalls(15, apart=True))
    shown = standing(limits, contents)
    assert (shown.as_json()["own"], shown.as_json()["others"], shown.plain.headroom) == (15, 4, 1)
    assert "15 ours, up to 4 others" in str(shown.plain)
    lines = [line.split("│") for line in rendered(shown).splitlines() if "│" in line]
    assert {"ours": "15", "others": "4"}.items() <= {
        name.strip(): value.strip() for _, name, value, _ in lines
    }.items()
    given_up = standing(
        limits, replace(CONTENTS, own=OwnCalls(15, apart=True, given_up=("reserved_inbound",)))
    )
    assert (given_up.exit_code, given_up.plain.headroom) == (ExitCode.FULL, -3)
    assert given_up.as_json()["given_up"] == ["reserved_inbound"]
    unknown = standing(limits).as_json()
    assert (unknown["own"], unknown["others"]) == (None, None)


def test_a_shared_ledger_that_admits_nobody() -> None:
    """A script would read that a call fits while every gate admits nobody."""
    shown = standing(Limits(0, 20), replace(CONTENTS, spent_until=1000.0))
    assert shown.exit_code == ExitCode.FULL
    assert shown.plain.constraint == "snapshot spent"
    lost = standing(Limits(0, 20), replace(CONTENTS, spent_until=1000.0, lost_until=1000.0))
    assert lost.exit_code == ExitCode.FULL
    assert lost.plain.constraint == "ledger lost"


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        (LimitsRejected("no", 401), ExitCode.KEY_REFUSED, "RETELL_API_KEY"),
        (LimitsRejected("no", 402), ExitCode.KEY_REFUSED, "RETELL_API_KEY"),
        (LimitsRejected("no", 403), ExitCode.KEY_REFUSED, "RETELL_API_KEY"),
        (LimitsRejected("no", 404), ExitCode.WRONG_USE, "--base-url"),
        (LimitsRejected("no", 301), ExitCode.WRONG_USE, "--base-url"),
        (LimitsUnavailable("no"), ExitCode.UNREACHABLE, "later"),
        (LimitsMalformed("no"), ExitCode.MALFORMED, "--base-url"),
        (LedgerUnavailable("no"), ExitCode.UNREACHABLE, "later"),
        (UsageError("no"), ExitCode.WRONG_USE, "--help"),
    ],
)
def test_failures(error: CallGuardError, code: ExitCode, advice: str) -> None:
    """A script would try again where it can't help, or people not know what to do."""
    ended, advised = verdict(error, "status")
    assert ended == code
    assert advice in advised


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan"])
def test_senseless_timeout(
    seconds: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timeout that can't be one would end in a traceback."""
    monkeypatch.setenv("RETELL_API_KEY", "key_secret")
    assert main(["status", "--timeout", seconds]) == ExitCode.WRONG_USE
    assert "--timeout must be more than 0 s" in capsys.readouterr().err


def test_no_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has no key set would read of an argument that the command doesn't have."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    assert main(["status"]) == ExitCode.WRONG_USE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("no API key: set RETELL_API_KEY in the environment; ")
    assert captured.err.count("\n") == 1
