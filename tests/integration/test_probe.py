"""``callguard probe`` in a process of its own, against a simulated workspace over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from callguard.simulator import Call, CallRefused, Constant, Faults, Server, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of Unix")

# The command alone, so that this holds whatever else the command line has.
_COMMAND = """
import typer
from callguard.cli.probe import probe
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(probe)
app()
"""
_NUMBERS = ("--from", "+14155550100", "--to", "+14155550101")
_QUICK = ("--interval", "0.05", "--longest-lag", "0.5")

_WORKSPACE: dict[str, Any] = {
    "answer_rate": 1.0,
    "ring_time": Constant(1.2),
    "talk_time": Constant(1.0),
    "rise_lag": 0.3,
    "fall_lag": 0.1,
}


@dataclass(frozen=True, slots=True)
class Ended:
    code: int | None
    out: str
    err: str


@asynccontextmanager
async def started(
    *arguments: str, url: str, key: str = "key_simulated", stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RETELL_")},
        "RETELL_BASE_URL": url,
        "RETELL_API_KEY": key,
        "COLUMNS": "80",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _COMMAND,
        *arguments,
        env=environment,
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


async def probed(*arguments: str, url: str, key: str = "key_simulated") -> Ended:
    async with asyncio.timeout(30), started(*arguments, url=url, key=key) as process:
        out, err = await process.communicate()
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.mark.parametrize("counts_ringing", [True, False])
async def test_it_finds_the_truth_over_a_real_socket(counts_ringing: bool) -> None:
    """If this fails, the command doesn't do what it is for."""
    async with serve(counts_ringing=counts_ringing, **_WORKSPACE) as server:
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", "--json", url=server.url)
    assert ended.code == 0, ended
    found = json.loads(ended.out)
    assert found["clear"] is True
    assert found["counts_ringing"] is counts_ringing
    assert found["rise_lag"]["at_least"] <= 0.3 <= found["rise_lag"]["at_most"]
    assert found["counter_lag"] == 1.0 or found["counter_lag"] > 0.3
    assert found["fall_lag"]["readings"] > 3
    assert found["settings"].startswith(
        f"callguard.open_gate(counts_ringing={counts_ringing}, counter_lag="
    )
    assert "placed call call_" in ended.err


async def test_it_tells_people_what_to_paste() -> None:
    """If this fails, the findings can't be read, or can't be used."""
    async with serve(**_WORKSPACE) as server:
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", url=server.url)
    assert ended.code == 0, ended
    assert "ringing calls are counted" in ended.out
    assert ended.out.splitlines()[-1].startswith("callguard.open_gate(counts_ringing=True, ")
    assert "the call is ongoing" in ended.out
    assert not ended.err


async def test_what_is_not_clear_is_not_guessed() -> None:
    """If this fails, a script takes a probe that learned nothing for one that did."""
    world = {**_WORKSPACE, "answer_rate": 0.0, "unanswered_ring": Constant(0.2)}
    async with serve(counts_ringing=False, **world) as server:
        plain = await probed(*_NUMBERS, *_QUICK, "--yes", url=server.url)
        as_json = await probed(*_NUMBERS, *_QUICK, "--yes", "--json", url=server.url)
    assert (plain.code, as_json.code) == (75, 75)
    assert "Not clear, again: the call was over before" in plain.out
    assert "open_gate" not in plain.out
    found = json.loads(as_json.out)
    assert (found["clear"], found["counts_ringing"], found["settings"]) == (False, None, None)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((*_NUMBERS,), "no terminal to ask at: pass --yes"),
        (("--from", "415", "--to", "+14155550101", "--yes"), "--from is a number such as"),
        (("--from", "+14155550100", "--to", "+1415555O101", "--yes"), "--to is a number such as"),
        ((*_NUMBERS, "--yes", "--interval", "nan"), "the interval is more than 0 s"),
        ((*_NUMBERS, "--yes", "--longest", "0"), "the longest call is more than 0 s"),
        ((*_NUMBERS, "--yes", "--base-url", "ftp://x"), "base_url begins with https://"),
        ((*_NUMBERS, "--yes", "--base-url", "http://192.0.2.1"), "plain http to another machine"),
    ],
)
async def test_wrong_use_is_refused_before_anything_is_asked(
    arguments: Sequence[str], error: str
) -> None:
    """If this fails, a slip places a call, or a script hangs at a question."""
    async with serve(**_WORKSPACE) as server:
        ended = await probed(*arguments, url=server.url)
        readings = server.workspace.truth().readings
    assert (ended.code, ended.out, readings) == (64, "", 0)
    assert error in ended.err
    assert ended.err.count("\n") == 1


async def test_without_a_key_it_is_wrong_use() -> None:
    """If this fails, a missing key looks like a refused one."""
    ended = await probed(*_NUMBERS, "--yes", "--json", url="http://127.0.0.1:9", key="")
    assert ended.code == 64
    assert json.loads(ended.out)["error"] == "UsageError"
    assert "set RETELL_API_KEY" in ended.err


async def test_a_refused_key_is_told_of() -> None:
    """If this fails, a wrong key looks like an outage, and a script tries it for ever."""
    async with serve(**_WORKSPACE) as server:
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", url=server.url, key="key_wrong")
    assert ended.code == 77
    assert "Invalid API Key" in ended.err
    assert "key_wrong" not in ended.err


async def test_an_unreachable_provider_is_told_of() -> None:
    """If this fails, an outage looks like a finding."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", "--json", url=url)
    assert ended.code == 69
    assert json.loads(ended.out)["exit"] == 69


async def test_a_refused_call_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a refusal looks like an outage, or like a call that may be going on."""

    def refuse(**_fields: object) -> Call:
        raise CallRefused("no room")

    async with serve(**_WORKSPACE) as server:
        monkeypatch.setattr(server.workspace, "dial", refuse)
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", url=server.url)
    assert ended.code == 1
    assert "answered HTTP 429" in ended.err
    assert "no call was placed" in ended.err


@pytest.mark.parametrize("fault", ["500", "cut"])
async def test_a_dial_of_unknown_outcome_is_told_of_and_not_repeated(fault: Any) -> None:
    """If this fails, a second call is placed, or one that may go on is hidden."""
    dial_faults = Faults(rate=1.0, kinds=(fault,))
    async with serve(dial_faults=dial_faults, **_WORKSPACE) as server:
        ended = await probed(*_NUMBERS, *_QUICK, "--yes", url=server.url)
        assert server.workspace.truth().placed == 1
    assert ended.code == 69
    assert "may have been placed, and is not tried again" in ended.err


async def _placed(server: Server) -> None:
    async with asyncio.timeout(20):
        while not server.workspace.calls():  # noqa: ASYNC110 - another process places it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_the_call(sent: signal.Signals, code: int) -> None:
    """If this fails, Ctrl-C leaves a call going that somebody pays for."""
    world = {**_WORKSPACE, "talk_time": Constant(600.0)}
    async with (
        serve(**world) as server,
        started(*_NUMBERS, *_QUICK, "--yes", url=server.url) as process,
    ):
        await _placed(server)
        await asyncio.sleep(0.3)
        process.send_signal(sent)
        async with asyncio.timeout(20):
            out, err = await process.communicate()
        [call] = server.workspace.calls()
    assert process.returncode == code
    assert call.disconnection_reason == "manual_stopped"
    assert b"stopped call" in out
    assert b"Traceback" not in err


async def _at_a_terminal(server: Server, answer: bytes) -> tuple[int | None, str]:
    """The command's exit code, and what it asked, where somebody types `answer`."""
    ours, theirs = os.openpty()
    try:
        async with started(*_NUMBERS, *_QUICK, url=server.url, stdin=theirs) as process:
            os.write(ours, answer)
            async with asyncio.timeout(30):
                _, err = await process.communicate()
            return process.returncode, err.decode()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(("answer", "code", "placed"), [(b"y\n", 0, 1), (b"n\n", 1, 0)])
async def test_a_person_is_asked_first(answer: bytes, code: int, placed: int) -> None:
    """If this fails, a call is placed that nobody agreed to, or none that somebody did."""
    async with serve(**_WORKSPACE) as server:
        ended, asked = await _at_a_terminal(server, answer)
        assert (ended, server.workspace.truth().placed) == (code, placed)
    assert "One real call from +14155550100 to +14155550101" in asked
    assert server.url in asked
    assert "Place the call? [y/N]" in asked
