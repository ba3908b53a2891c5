"""``callguard probe`` against a simulated workspace over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callguard.simulator import Call, CallRefused, Constant, Faults, Server, answered, serve
from callguard.testing import VirtualWorkspace
from tests.integration.support import LONGEST, Command, Ended, environment, served

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of Unix")

_NUMBERS = ("--from", "+14155550100", "--to", "+14155550101")
_QUICK = ("--interval", "0.05", "--longest-lag", "0.5")
_AT_ONCE = ("--interval", "0.01", "--longest-lag", "0.05")
"""For what doesn't depend on when the counter rises."""

_WORKSPACE: dict[str, Any] = {
    "answer_rate": 1.0,
    "ring_time": Constant(1.2),
    "talk_time": Constant(1.0),
    "rise_lag": 0.3,
    "fall_lag": 0.1,
}


@asynccontextmanager
async def started(
    *arguments: str, url: str, stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "callguard",
        "probe",
        *arguments,
        env=environment(RETELL_BASE_URL=url, RETELL_API_KEY="key_simulated"),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def probed(command: Command) -> Command:
    """Runs the command to its end, in this process."""

    def run(*arguments: str, url: str, key: str = "key_simulated") -> Ended:
        return command("probe", *arguments, RETELL_BASE_URL=url, RETELL_API_KEY=key)

    return run


def test_it_finds_the_truth_over_a_real_socket(
    probed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, the command doesn't do what it is for."""
    with VirtualWorkspace(counts_ringing=False, **_WORKSPACE) as workspace:
        monkeypatch.setattr(asyncio, "run", workspace.run)
        ended = probed(*_NUMBERS, *_QUICK, "--yes", "--json", url=workspace.url)
    assert ended.code == 0, ended
    found = json.loads(ended.out)
    assert found["clear"] is True
    assert found["counts_ringing"] is False
    assert found["rise_lag"]["at_least"] <= 0.3 <= found["rise_lag"]["at_most"]
    assert found["counter_lag"] == 1.0 or found["counter_lag"] > 0.3
    assert found["fall_lag"]["snapshots"] > 3
    assert found["settings"].startswith("callguard.open_gate(counts_ringing=False, counter_lag=")
    assert "placed call call_" in ended.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((*_NUMBERS,), "no terminal to ask at: pass --yes"),
        (
            ("--from", "415", "--to", "+14155550101", "--yes"),
            "--from must be a number such as +14155550100, got '415'",
        ),
        (
            ("--from", "+14155550100", "--to", "+1415555O101", "--yes"),
            "such as +14155550100, got '…O101'",
        ),
        ((*_NUMBERS, "--yes", "--interval", "nan"), "the interval must be more than 0 s"),
        ((*_NUMBERS, "--at-the-limit"), "no terminal to ask at: pass --yes"),
        ((*_NUMBERS, "--yes", "--at-the-limit", "--fill-to", "me"), "--fill-to must be a number"),
        (
            (*_NUMBERS, "--yes", "--at-the-limit", "--most-calls", "0"),
            "the most calls must be at least 1",
        ),
        ((*_NUMBERS, "--yes", "--at-the-limit", "--cps", "nan"), "the rate must be"),
        ((*_NUMBERS, "--yes", "--longest", "0"), "the longest call must be more than 0 s"),
        ((*_NUMBERS, "--yes", "--base-url", "ftp://x"), "must begin with https://"),
        ((*_NUMBERS, "--yes", "--base-url", "http://192.0.2.1"), "plain http to another machine"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_asked(
    probed: Command, arguments: Sequence[str], error: str
) -> None:
    """If this fails, a slip places a call, or a script hangs at a question."""
    with served(**_WORKSPACE) as server:
        ended = probed(*arguments, url=server.url)
        readings = server.workspace.truth().readings
    assert (ended.code, ended.out, readings) == (64, "", 0)
    assert error in ended.err
    assert ended.err.count("\n") == 1


def test_without_a_key_it_is_wrong_use(probed: Command) -> None:
    """If this fails, a missing key looks like a refused one."""
    ended = probed(*_NUMBERS, "--yes", "--json", url="http://127.0.0.1:9", key="")
    assert ended.code == 64
    assert json.loads(ended.out)["error"] == "UsageError"
    assert "set RETELL_API_KEY" in ended.err


def test_a_refused_key_is_told_of(probed: Command) -> None:
    """If this fails, a wrong key looks like an outage, and a script tries it for ever."""
    with served(**_WORKSPACE) as server:
        ended = probed(*_NUMBERS, *_AT_ONCE, "--yes", url=server.url, key="key_wrong")
    assert ended.code == 77
    assert "Invalid API Key" in ended.err
    assert "key_wrong" not in ended.err


def test_an_unreachable_provider_is_told_of(
    probed: Command, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, an outage looks like a finding."""
    monkeypatch.setattr("callguard.probe.experiment.READING_DEADLINE", 0.3)
    ended = probed(*_NUMBERS, *_AT_ONCE, "--yes", "--json", url=nowhere)
    assert ended.code == 69
    assert json.loads(ended.out)["exit"] == 69


def test_a_refused_call_is_told_of(probed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a refusal looks like an outage, or like a call that may be going on."""

    def refuse(**_fields: object) -> Call:
        raise CallRefused("no room")

    with served(**_WORKSPACE) as server:
        monkeypatch.setattr(server.workspace, "dial", refuse)
        ended = probed(*_NUMBERS, *_AT_ONCE, "--yes", url=server.url)
    assert ended.code == 1
    assert "answered HTTP 429" in ended.err
    assert "no call was placed" in ended.err


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_a_dial_of_unknown_outcome_is_told_of_and_not_repeated(probed: Command, fault: Any) -> None:
    """If this fails, a second call is placed, or one that may go on is hidden."""
    dial_faults = Faults(rate=1.0, kinds=(fault,))
    with served(dial_faults=dial_faults, **_WORKSPACE) as server:
        ended = probed(*_NUMBERS, *_AT_ONCE, "--yes", url=server.url)
        assert server.workspace.truth().placed == 1
    assert ended.code == 69
    assert "may have been placed, and is not tried again" in ended.err


_LASTING: dict[str, Any] = {**_WORKSPACE, "talk_time": Constant(30.0), "fall_lag": 1.5}
_SLOW = ("--interval", "0.25", "--longest-lag", "3")


@pytest.mark.parametrize("by_reported", [True, False])
def test_it_finds_what_is_refused_at_the_limit(
    probed: Command, monkeypatch: pytest.MonkeyPatch, by_reported: bool
) -> None:
    """If this fails, the second experiment isn't made, or its result gets lost."""
    world = {**_LASTING, "ring_time": Constant(4.0), "rise_lag": 1.0}
    with VirtualWorkspace(limit=3, refuses_by_reported=by_reported, **world) as workspace:
        monkeypatch.setattr(asyncio, "run", workspace.run)
        arguments = (*_NUMBERS, *_SLOW, "--at-the-limit", "--fill-to", "+14155550102", "--yes")
        ended = probed(*arguments, url=workspace.url)
        first, *others = workspace.workspace.calls()
        assert workspace.truth().live == 0
    assert ended.code == 0, ended
    assert first.to_number == "+14155550101"
    assert {call.to_number for call in others} == {"+14155550102"}
    assert ("the late counter" if by_reported else "the calls going on") in ended.out
    last = ended.out.splitlines()[-1]
    assert last.startswith("callguard.open_gate(counts_ringing=True, counter_lag=")
    assert last.endswith(f", ends_free_at_once={not by_reported})")


def test_a_script_gets_what_was_found_at_the_limit(
    probed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, a script can't read what was found, or takes an open question for clear."""
    world = {**_LASTING, "ring_time": Constant(4.0), "rise_lag": 1.0}
    with VirtualWorkspace(limit=5, reserved_inbound=1, **world) as workspace:
        monkeypatch.setattr(asyncio, "run", workspace.run)
        arguments = (*_NUMBERS, *_SLOW, "--at-the-limit", "--yes", "--json")
        ended = probed(*arguments, url=workspace.url)
    found = json.loads(ended.out)
    assert ended.code == found["exit"] == 75
    assert found["clear"] is False
    assert found["ends_free_at_once"] is True
    assert found["reserved_inbound"] is None
    assert found["settings"].endswith(", ends_free_at_once=True)")
    assert found["at_the_limit"]["refused_by"] == "calls"
    assert found["at_the_limit"]["reserved_inbound_reason"] == "no inbound call was going on"


def test_it_finds_that_inbound_calls_are_apart(
    probed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, the line to paste lacks what the experiment has shown."""
    world = {**_LASTING, "ring_time": Constant(4.0), "rise_lag": 1.0}
    with VirtualWorkspace(limit=5, reserved_inbound=2, inbound_apart=True, **world) as workspace:
        monkeypatch.setattr(asyncio, "run", workspace.run)
        workspace.workspace.call_in(3600.0)
        workspace.run(asyncio.sleep(3.0))
        ended = probed(*_NUMBERS, *_SLOW, "--at-the-limit", "--yes", url=workspace.url)
    assert ended.code == 0, ended
    assert "outbound calls alone" in ended.out
    last = ended.out.splitlines()[-1]
    assert last.endswith(', ends_free_at_once=True, reserved_inbound="outbound")')


def test_more_calls_than_agreed_to_are_not_placed(probed: Command) -> None:
    """If this fails, somebody pays for twenty calls who thought of ten."""
    with served(limit=20, **_WORKSPACE) as server:
        ended = probed(*_NUMBERS, *_AT_ONCE, "--at-the-limit", "--yes", url=server.url)
        assert server.workspace.truth().placed == 0
    assert ended.code == 64
    assert "may dial 24 calls here, and --most-calls is 10: pass --most-calls 24" in ended.err


def test_a_key_refused_before_the_price_is_told_of(probed: Command) -> None:
    """If this fails, a wrong key looks like wrong use where the price is asked for first."""
    arguments = (*_NUMBERS, *_AT_ONCE, "--at-the-limit", "--yes", "--json")
    with served(**_WORKSPACE) as server:
        ended = probed(*arguments, url=server.url, key="key_wrong")
    assert ended.code == json.loads(ended.out)["exit"] == 77


async def _placed(process: asyncio.subprocess.Process) -> None:
    """The command knows which call it has placed."""
    await _says(process, b"placed call call_")


async def _says(process: asyncio.subprocess.Process, words: bytes) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(LONGEST):
        while words not in (line := await process.stdout.readline()):
            assert line, "it ended"


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_the_call(sent: signal.Signals, code: int) -> None:
    """If this fails, Ctrl-C leaves a call going that somebody pays for."""
    world = {**_WORKSPACE, "talk_time": Constant(600.0)}
    async with (
        serve(**world) as server,
        started(*_NUMBERS, *_QUICK, "--yes", url=server.url) as process,
    ):
        await _placed(process)
        process.send_signal(sent)
        async with asyncio.timeout(LONGEST):
            out, err = await process.communicate()
        [call] = server.workspace.calls()
    assert process.returncode == code
    assert call.disconnection_reason == "manual_stopped"
    assert b"stopped call" in out
    assert b"Traceback" not in err


@pytest.mark.slow
async def test_a_signal_stops_every_call_at_the_limit() -> None:
    """If this fails, Ctrl-C leaves a workspace full of calls that somebody pays for."""
    world = {**_WORKSPACE, "ring_time": Constant(1.6), "fall_lag": 1.0, "rise_lag": 0.1}
    lasting = {"+14155550102": answered(600.0, ring_time=0.2)}
    arguments = (*_NUMBERS, "--interval", "0.1", "--longest-lag", "1.3", "--cps", "5")
    async with (
        serve(limit=5, cps=None, numbers=lasting, **world) as server,
        started(
            *arguments, "--at-the-limit", "--fill-to", "+14155550102", "--yes", url=server.url
        ) as process,
    ):
        await _says(process, b"a call was refused while 5 were going on")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LONGEST):
            out, err = await process.communicate()
        truth = server.workspace.truth()
    assert process.returncode == 130
    assert truth.live == 0
    assert b"stopped 5 calls" in out
    assert b"Traceback" not in err


async def _at_a_terminal(server: Server, answer: bytes, *arguments: str) -> tuple[int | None, str]:
    """The command's exit code, and what it asked, where somebody types `answer`.

    Once it has placed a call it is interrupted: how the call goes is not asked here.
    """
    ours, theirs = os.openpty()
    try:
        async with started(*_NUMBERS, *_QUICK, *arguments, url=server.url, stdin=theirs) as process:
            os.write(ours, answer)
            if answer == YES:
                await _placed(process)
                process.send_signal(signal.SIGINT)
            async with asyncio.timeout(LONGEST):
                _, err = await process.communicate()
            return process.returncode, err.decode()
    finally:
        os.close(ours)
        os.close(theirs)


YES, NO = b"y\n", b"n\n"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "placed"), [(YES, 130, 1), (NO, 1, 0)])
async def test_a_person_is_asked_first(answer: bytes, code: int, placed: int) -> None:
    """If this fails, a call is placed that nobody agreed to, or none that somebody did."""
    async with serve(**_WORKSPACE) as server:
        ended, asked = await _at_a_terminal(server, answer)
        assert (ended, server.workspace.truth().placed) == (code, placed)
    assert "One real call from +14155550100 to +14155550101" in asked
    assert server.url in asked
    assert "Place the call? [y/N]" in asked


@pytest.mark.slow
async def test_a_person_is_told_the_price_first() -> None:
    """If this fails, somebody agrees to calls without knowing how many, or what to do."""
    async with serve(limit=8, reserved_inbound=2, **_WORKSPACE) as server:
        ended, asked = await _at_a_terminal(server, NO, "--at-the-limit")
        assert (ended, server.workspace.truth().placed) == (1, 0)
    assert "Then up to 10 calls to +14155550101" in asked
    assert "be ready to call a number of the workspace" in asked
    assert "Place the calls? [y/N]" in asked
