"""Commands whose output can't be written."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

import pytest

from callguard.cli.exits import ExitCode
from callguard.simulator import serve
from tests.integration.support import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of Unix"),
]

FULL = "/dev/full"
COMMANDS = [
    ("--version",),
    ("--help",),
    ("status",),
    ("status", "--json"),
    ("ps", "--json"),
    ("demo", "--leads", "1"),
    ("demo", "--leads", "1", "--json"),
    ("simulator", "--port", "0"),
]


async def ended(command: tuple[str, ...], stdout: int | None) -> tuple[int | None, str]:
    """The code and the stderr of a command that writes there; None for no stdout at all."""
    async with serve() as server, asyncio.timeout(60):
        closed = () if stdout else ("sh", "-c", 'exec "$@" >&-', "sh")
        process = await asyncio.create_subprocess_exec(
            *(*closed, sys.executable, "-m", "callguard", *command),
            env=environment(RETELL_API_KEY=server.api_key, RETELL_BASE_URL=server.url),
            stdin=PIPE,
            stdout=stdout,
            stderr=PIPE,
        )
        _, err = await process.communicate()
    return process.returncode, err.decode()


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_full_disk(command: tuple[str, ...]) -> None:
    """What was asked for would be lost in a traceback, or with it nobody knew."""
    device = os.open(FULL, os.O_WRONLY)
    try:
        code, err = await ended(command, device)
    finally:
        os.close(device)
    assert code == ExitCode.OUTPUT_FAILED
    last = err.splitlines()[-1]
    assert last == "can't write the output: No space left on device; write it elsewhere"
    assert "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_reader_that_has_gone(command: tuple[str, ...]) -> None:
    """Every pipe into ``head`` would end in many words that nobody wants."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        code, err = await ended(command, theirs)
    finally:
        os.close(theirs)
    written_by_typer = command[0].startswith("--")
    assert code in ({1, ExitCode.NO_READER} if written_by_typer else {ExitCode.NO_READER})
    assert err.count("\n") == (command[0] == "ps")  # which has no ledger to look at


@pytest.mark.parametrize("command", [("status",), ("--version",)])
async def test_no_output_at_all(command: tuple[str, ...]) -> None:
    """A command that could say nothing would pass for one that did."""
    code, err = await ended(command, None)
    assert code == ExitCode.OUTPUT_FAILED
    assert err == "can't write the output: it is closed; write it elsewhere\n"


async def test_an_encoding_that_lacks_a_character() -> None:
    """A box or a dash in a log of another encoding would end the command in a traceback."""
    async with serve() as server, asyncio.timeout(60):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "callguard", "status"),
            env=environment(
                RETELL_API_KEY=server.api_key,
                RETELL_BASE_URL=server.url,
                PYTHONIOENCODING="ascii",
            ),
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, err) == (ExitCode.OK, b"")
    assert b"headroom" in out
