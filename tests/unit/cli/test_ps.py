"""What `callguard ps` makes of a shared ledger, or of there being none."""

from __future__ import annotations

import io
import itertools
import json
import sys
from dataclasses import asdict, replace

import pytest
from rich import box
from rich.console import Console

from callguard.cli import main
from callguard.cli.contents import Found
from callguard.cli.exits import ExitCode
from callguard.cli.ps import contents_table, sentence
from callguard.decision import Pause
from callguard.ledger.redis.holders import Contents, LedgerPermit, Waiting, Worker, _read
from callguard.ledger.redis.own_calls import OwnCalls
from callguard.ledger.redis.premises import LedgerPremise
from callguard.ledger.redis.suggestions import Suggestion
from callguard.limits import Limits, Snapshot

NOWHERE = "redis://someone:secret@127.0.0.1:1"

CONTENTS = Contents(
    now=1000.0,
    known=True,
    workers=(
        Worker("a", "web:1", lease=8.0),
        Worker("b", "web:2", lease=4.5, silent=True),
        Worker("c", "web:3", lease=8.0),
    ),
    permits=(
        LedgerPermit("x-1", None, "bulk", 12.3, "uncounted", counted_in=20.0),
        LedgerPermit("b-1", "web:2", "[red]", 0.25, "dialling", counted_in=None),
    ),
    waiting=(Waiting("web:1", "bulk", priority=1, callers=40, waited=3.0),),
    snapshot=Snapshot(Limits(14, 20), began=999.6, received=999.7),
    spent_until=0.0,
    lost_until=0.0,
)

BURSTING, NO_BURST = (
    Snapshot(
        Limits(14, 20, concurrency_burst_enabled=enabled, concurrency_burst_limit=60),
        began=999.6,
        received=999.7,
    )
    for enabled in (True, False)
)


def rendered(
    contents: Contents, around: box.Box | None = None, width: int = 100
) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(contents_table(contents, around))
    return [line.split() for line in capture.get().splitlines()]


def test_a_worker_is_silent_that_let_half_of_its_lease_go_by() -> None:
    """A worker that hangs would look like one that works until its slots are somebody else's."""
    answer: dict[str, list[str]] = {
        name: []
        for name in ("sessions", "permits", "dialling", "uncounted", "claims", "starts", "occupied")
    }
    workers = ["well", "105001", "hung", "104999", "over", "99000"]
    contents = _read(
        json.dumps(
            {
                **answer,
                "pauses": "{}",
                "now": 100_000,
                "raw_now": 100_000,
                "ledger": ["lease", "10000"],
                "workers": workers,
            }
        )
    )
    assert {worker.id: worker.silent for worker in contents.workers} == {
        "well": False,
        "hung": True,
        "over": True,
    }


def test_the_order_is_by_worker_and_stays() -> None:
    """Who looks twice would find nothing again where it was."""
    permits = [
        LedgerPermit("c-1", "web:10", "bulk", 1.0, "uncounted", counted_in=1.0),
        LedgerPermit("a-1", "web:9", "bulk", 5.0, "uncounted", counted_in=1.0),
        LedgerPermit("c-2", "web:10", "bulk", 9.0, "dialling", counted_in=None),
        LedgerPermit("a-2", "web:9", "bulk", 2.0, "dialling", counted_in=None),
    ]
    orders = {
        tuple(
            tuple(row[:3]) for row in rendered(replace(CONTENTS, permits=tuple(some), workers=()))
        )
        for some in itertools.permutations(permits)
    }
    assert orders == {
        (
            ("worker", "lane", "state"),
            ("web:1", "bulk", "waiting"),
            ("web:9", "bulk", "dialling"),
            ("web:9", "bulk", "uncounted"),
            ("web:10", "bulk", "dialling"),
            ("web:10", "bulk", "uncounted"),
        )
    }


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_breaks_no_figure(width: int) -> None:
    """The ages and states, for which one looks, would end in dots."""
    rows = rendered(CONTENTS, box.HEAVY_HEAD if width >= 60 else None, width)
    for words in (
        ["uncounted", "1", "12.3", "s"],
        ["dialling", "1", "0.2", "s"],
        ["waiting", "40"],
    ):
        assert any(" ".join(words) in " ".join(row).replace("│ ", "") for row in rows), words
    assert "…" not in str(rows)


def test_table() -> None:
    """Nobody would see who holds a slot, who is gone without giving it back, and who waits."""
    assert rendered(CONTENTS) == [
        ["worker", "lane", "state", "calls", "age"],
        ["(gone)", "bulk", "uncounted", "1", "12.3", "s"],
        ["web:1", "bulk", "waiting", "40", "3.0", "s"],
        ["web:2", "(silent)", "[red]", "dialling", "1", "0.2", "s"],
        ["web:3", "idle", "0"],
    ]
    assert "┃" in rendered(CONTENTS, box.HEAVY_HEAD)[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "usage 16 of 20: ours and others unknown; 14 counted 0.4 s ago, 1 dialling, 1 unco"),
        ({"own": OwnCalls(12, apart=True)}, "usage 16 of 20: 12 ours, up to 4 others; 14 counted"),
        ({"own": OwnCalls(99, apart=True)}, "usage 16 of 20: 16 ours, 0 others; 14 counted"),
        ({"own": OwnCalls(0, apart=True)}, "usage 16 of 20: 2 ours, up to 14 others; 14 counted"),
        ({"snapshot": BURSTING}, "usage 16 of 20 (with burst 60): ours"),
        ({"snapshot": NO_BURST}, "usage 16 of 20: ours"),
        ({}, "; 40 queued; gates: 3, 1 of them silent"),
        ({"workers": CONTENTS.workers[:1]}, "gates: 1"),
        ({"lost_until": 999.6}, "nothing is admitted before a later snapshot"),
        ({"spent_until": 999.6}, "nothing is admitted before a later snapshot"),
        ({"snapshot": None}, "no snapshot yet, 1 dialling"),
    ],
)
def test_sentence(changes: dict[str, object], said: str) -> None:
    """The sums would be wrong, or nobody know why nobody is admitted."""
    assert said in sentence(replace(CONTENTS, **changes))  # type: ignore[arg-type]


def test_callers_that_wait_where_it_is_paused_are_not_said_to_be_none() -> None:
    """Who has paused everything would believe that no lead is left, while the gates keep them."""
    contents = replace(CONTENTS, pauses=(Pause("urgent", None, "web:1", 5.0, ""),))
    assert "; 40 queued where nothing is paused; gates: 3" in sentence(contents)
    assert rendered(contents)[-1] == ["web:3", "idle", "or", "paused", "0"]


def test_a_premise_that_does_not_hold_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody would see from outside what is to be set."""
    seen = LedgerPremise("counter_lag", 2.0, 3.2, "late; set more", "web:1", 61.4)
    contents = replace(CONTENTS, premises=(seen,))
    Found("f00", contents, ()).warn()
    assert capsys.readouterr().err == (
        "warning: a premise of the promise does not hold, counter_lag: late; set more "
        "(seen by web:1 61 s ago)\n"
    )
    assert contents.as_json()["premises"] == [asdict(seen)]


def test_what_gates_have_learnt_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody would know without the log of a gate which setting uses more of the limit."""
    learnt = Suggestion("counts_ringing=True", "ringing seems to be counted", ("web:1",), 61.4)
    contents = replace(CONTENTS, suggestions=(learnt,))
    Found("f00", contents, ()).warn()
    assert capsys.readouterr().err == (
        "suggestion: ringing seems to be counted (learnt by web:1, 61 s ago): to use that, open "
        "the gates with counts_ringing=True\n"
    )
    assert contents.as_json()["suggestions"] == [asdict(learnt)]


def test_a_setting_that_was_given_up_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody would see why all gates keep below a ceiling that they were told is not theirs."""
    contents = replace(CONTENTS, own=OwnCalls(12, apart=True, given_up=("reserved_inbound",)))
    Found("f00", contents, ()).warn()
    assert capsys.readouterr().err == (
        "warning: reserved_inbound is given up for as long as the ledger lives, since the provider "
        "has refused a call: inbound calls count together with all others\n"
    )
    assert contents.as_json()["given_up"] == ["reserved_inbound"]
    assert CONTENTS.as_json()["given_up"] == []
    assert contents.inbound_by(contents.usage) is None
    assert replace(contents, own=OwnCalls(12, apart=True)).inbound_by(contents.usage) == 4


def test_usage_by_a_later_reading() -> None:
    """A call that a snapshot counts would be counted twice, or one that it may miss never."""
    absorbed = replace(CONTENTS.permits[0], counted_in=-0.001)
    contents = replace(CONTENTS, permits=(absorbed, *CONTENTS.permits))
    assert (contents.usage.total, contents.usage_by(Limits(5, 20)).total) == (17, 7)


def test_json() -> None:
    """A script would miss what people are shown."""
    fields = json.loads(json.dumps(CONTENTS.as_json()))
    assert [worker["label"] for worker in fields["workers"]] == ["web:1", "web:2", "web:3"]
    assert [(permit["id"], permit["state"]) for permit in fields["permits"]] == [
        ("x-1", "uncounted"),
        ("b-1", "dialling"),
    ]
    assert fields["waiting"][0]["callers"] == 40
    assert fields["usage"] == {
        "reported": 14,
        "ended": 0,
        "dialling": 1,
        "uncounted": 1,
        "counted": None,
        "total": 16,
        "own": None,
        "others": None,
    }
    assert (fields["snapshot"]["age"], fields["snapshot"]["concurrency_limit"]) == (0.4, 20)
    assert replace(CONTENTS, snapshot=None).as_json()["snapshot"] is None


@pytest.mark.parametrize(
    ("arguments", "key", "code", "said"),
    [
        ((), "key_secret", ExitCode.WRONG_USE, "no ledger: pass --ledger"),
        (("--ledger", NOWHERE), None, ExitCode.WRONG_USE, "no API key"),
        (("--ledger", "http://someone:secret@here"), "key_secret", ExitCode.WRONG_USE, "address"),
        (("--ledger", NOWHERE), "key_secret", ExitCode.UNREACHABLE, "can't be reached"),
        (("--ledger", NOWHERE, "--name", "n"), None, ExitCode.UNREACHABLE, "can't be reached"),
    ],
)
def test_failures(
    arguments: tuple[str, ...],
    key: str | None,
    code: ExitCode,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A script would not know whether to try again, or a password be shown to whoever looks on."""
    monkeypatch.delenv("CALLGUARD_LEDGER", raising=False)
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("RETELL_API_KEY", key)
    assert main(["ps", "--json", *arguments]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert json.loads(captured.out)["exit"] == code
    assert "secret" not in captured.out + captured.err


@pytest.mark.parametrize(
    "command",
    [
        ("ps", "--ledger", NOWHERE),
        ("status", "--ledger", NOWHERE),
        ("demo", "--ledger", NOWHERE),
        ("demo", "--workers", "4"),
    ],
)
def test_redis_is_not_installed(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who lacks the extra would see a traceback, or what can't be done announced before."""
    monkeypatch.setenv("RETELL_API_KEY", "key_secret")
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    assert main(command) == ExitCode.NOT_INSTALLED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("pip install 'redis[hiredis]") == captured.err.count("\n") == 1


def test_what_the_count_may_miss_is_what_is_dialled_and_what_it_shows_later() -> None:
    """A drain would end too early, or wait for a snapshot that nobody takes while it is paused."""
    in_time, late = (
        LedgerPermit("x-2", None, "bulk", 9.0, "uncounted", counted_in=left) for left in (-0.1, 0.1)
    )
    assert CONTENTS.unsettled == 2
    assert replace(CONTENTS, permits=(in_time,)).unsettled == 0
    assert replace(CONTENTS, permits=(in_time, late)).unsettled == 1
