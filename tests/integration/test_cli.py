"""The commands as processes of their own: exit codes, output, and what a signal leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callguard import LimitFetcher
from callguard.cli.exits import ExitCode
from callguard.simulator import Faults, serve
from tests.integration.support import LONGEST, Ended, environment
from tests.integration.terminals import (
    COMMAND,
    HIDE_CURSOR,
    SHOW_CURSOR,
    Terminal,
    killed_at_last,
    posix,
)

KEY = "key_of_this_test"


async def piped(*arguments: str, stdout: int = PIPE, env: dict[str, str] | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=stdout, stderr=PIPE, env=env or environment()
    )


async def callguard(*arguments: str, **variables: str | None) -> Ended:
    """Run a command to its end."""
    process = await piped(*arguments, env=environment(**variables))
    async with asyncio.timeout(LONGEST), killed_at_last(process):
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


async def test_status_of_a_workspace_with_room() -> None:
    """`callguard status` would not work at all, or say something else than the provider does."""
    async with serve(api_key=KEY, limit=7, reserved_inbound=2) as server:
        ended = await callguard("status", RETELL_API_KEY=KEY, RETELL_BASE_URL=server.url)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert re.search(r"headroom +│ +5 ", ended.out)
    assert "admitted: 0 of 7 in use" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.slow
@posix
async def test_demo_whose_reader_goes() -> None:
    """``callguard demo | head -1`` would end in a traceback."""
    ours, theirs = os.pipe()
    process = await piped("demo", "--leads", "20", stdout=theirs)
    os.close(theirs)
    async with asyncio.timeout(LONGEST), killed_at_last(process):
        assert await asyncio.to_thread(os.read, ours, 9) == b"callguard"
        os.close(ours)
        _, err = await process.communicate()
        assert (process.returncode, err) == (ExitCode.NO_READER, b"")


@asynccontextmanager
async def running_simulator(*arguments: str) -> AsyncIterator[tuple[Process, str]]:
    """A simulator on any free port, and its address."""
    process = await piped("simulator", "--port", "0", *arguments)
    async with asyncio.timeout(LONGEST), killed_at_last(process):
        assert process.stdout is not None
        first = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found is not None, first
        yield process, found[0]


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        ("SIGINT", ExitCode.INTERRUPTED, "interrupted"),
        ("SIGTERM", ExitCode.TERMINATED, "terminated"),
    ],
)
async def test_simulator(sent: str, code: ExitCode, said: str) -> None:
    """The simulator alone could not be dialled against, ended, or asked what happened."""
    async with running_simulator("--limit", "3", "--api-key", KEY) as (process, url):
        async with LimitFetcher(KEY, base_url=url) as fetcher:
            assert (await fetcher.get()).limits.concurrency_limit == 3
        process.send_signal(signal.Signals[sent])
        out, err = await process.communicate()
        assert (process.returncode, err.decode()) == (code, f"{said}\n")
    assert f"RETELL_API_KEY={KEY} RETELL_BASE_URL={url} callguard status" in out.decode()
    assert re.search(r"readings +│ +1 ", out.decode())


async def interrupted(terminal: Terminal, process: Process) -> None:
    """Press Ctrl-C, and check what it leaves behind."""
    terminal.press_ctrl_c()
    assert await process.wait() == ExitCode.INTERRUPTED
    await terminal.shows(b"interrupted\r\n")
    assert terminal.output.endswith(b"interrupted\r\n")
    assert b"Traceback" not in terminal.output
    assert terminal.is_as_before


@pytest.mark.slow
@posix
async def test_ctrl_c_in_the_demo() -> None:
    """Ctrl-C in the demo would leave a terminal without a cursor, or show a traceback."""
    async with Terminal.running("demo") as (terminal, process):
        await terminal.shows(b"through callguard")
        assert HIDE_CURSOR in terminal.output
        await interrupted(terminal, process)


@pytest.mark.slow
@posix
async def test_ctrl_c_in_the_simulator() -> None:
    """Ctrl-C would lose the truth that the simulator kept."""
    async with Terminal.running("simulator", "--port", "0") as (terminal, process):
        await terminal.shows(b"Ctrl-C ends it.")
        await interrupted(terminal, process)
        assert b"seconds over limit" in terminal.output
        assert b"No request came." in terminal.output


@pytest.mark.slow
@posix
async def test_ctrl_c_in_status() -> None:
    """Ctrl-C while the provider doesn't answer would show a traceback."""
    async with (
        serve(api_key=KEY, faults=Faults(rate=1.0, kinds=("hang",))) as server,
        Terminal.running("status", RETELL_API_KEY=KEY, RETELL_BASE_URL=server.url) as (
            terminal,
            process,
        ),
    ):
        while not server.workspace.truth().readings:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        await interrupted(terminal, process)


@pytest.mark.slow
@posix
async def test_demo_on_a_terminal() -> None:
    """The picture would not be drawn, or its end not stay on the screen."""
    async with Terminal.running("demo", "--leads", "5") as (terminal, process):
        assert await process.wait() == ExitCode.OK
        await terminal.shows(b"callguard demo --workers 4")
    drawn, _, after = terminal.output.partition(SHOW_CURSOR)
    assert "█" in drawn.decode()
    assert b"called 5 of 5" in drawn
    assert b"Nothing refused" in after
    assert b"\x1b[?1049h" not in terminal.output


@pytest.mark.slow
@posix
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "unknown"}])
async def test_demo_on_a_dumb_terminal(variables: dict[str, str | None]) -> None:
    """A terminal that can't move its cursor would fill with frames."""
    async with Terminal.running("demo", "--leads", "5", **variables) as (terminal, process):
        assert await process.wait() == ExitCode.OK
        await terminal.shows(b"callguard demo --workers 4")
    assert b"\x1b" not in terminal.output
    assert b"5 of 5" in terminal.output
