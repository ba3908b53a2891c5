"""Our own commands as processes of their own: a simulated workspace, and proxies in front of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import aiohttp

ROOT = Path(__file__).parents[2]
KEY = "key_of_nobody"

QUICK_WORLD = (
    *("--cps", "none", "--ring-time", "0.1", "--ring-limit", "0.1", "--talk-time", "0.3"),
    *("--rise-lag", "0.1", "--fall-lag", "0.1", "--lists-ringing"),
)
"""The options of a workspace whose calls last 0.4 s, with any number of starts a second."""

QUICK_GATE = {"ring_limit": 0.1, "counter_lag": 0.2, "ttl": 0.1, "min_interval": 0.05}
"""The settings of a proxy for such a workspace."""

_LONGEST_START = 60.0
"""Seconds for what takes one or two on an idle machine."""

_LONGEST_END = 30.0
_LONGEST_LINE = 1024 * 1024
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_ROW = re.compile(r"│ ([^│]+?) +│ +(-?[\d.]+) │")


class Command:
    """A command that runs, and what it has said.

    Attributes:
        url: the address where it listens.
        said: its output, line by line.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self._listens = asyncio.Event()
        self.url = ""
        self.said: list[str] = []

    @property
    def output(self) -> str:
        """All that it has said."""
        return "".join(self.said)

    async def listens(self) -> None:
        """Wait until it says where it listens."""
        async with asyncio.timeout(_LONGEST_START):
            await self._listens.wait()
        assert self.url, self.output

    async def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it, by Ctrl-C or as told, and return its exit code once all of its output is here."""
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        async with asyncio.timeout(_LONGEST_END):
            await self._reading
            return await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.said.append(line.decode())
            if not self.url and (found := _ADDRESS.search(self.said[-1])):
                self.url = found[0]
                self._listens.set()
        self._listens.set()


C = TypeVar("C", bound="Command")


class SimulatedWorkspace(Command):
    """A ``callguard simulator`` that runs."""

    async def truth(self) -> dict[str, float]:
        """End it, and return the totals that it says then: the truth, and the requests."""
        await self.end()
        return {name: float(value) for name, value in _ROW.findall(self.output)}

    async def calls(self) -> list[dict[str, object]]:
        """Its records of the latest calls, up to 1,000, without those that ring."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(self.url, headers=headers, raise_for_status=True) as session,
            session.post("/v3/list-calls", json={"limit": 1000}) as response,
        ):
            calls: list[dict[str, object]] = (await response.json())["items"]
            return calls


@asynccontextmanager
async def simulator(*options: str) -> AsyncIterator[SimulatedWorkspace]:
    """A simulated workspace that accepts `KEY`, at any free port."""
    process = await _started("simulator", "--api-key", KEY, "--port", "0", *options)
    async with _ending(SimulatedWorkspace(process), process) as workspace:
        yield workspace


@asynccontextmanager
async def serving(
    provider_url: str, *options: str, workspace: Mapping[str, float] | None = None
) -> AsyncIterator[Command]:
    """A proxy in front of a provider, at any free port.

    Args:
        provider_url: the provider's address.
        options: of the command.
        workspace: settings for the file, of every workspace.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        settings = (f"{name} = {value}" for name, value in (workspace or {}).items())
        file.write("\n".join(["[workspace]", *settings]))
        file.flush()
        where = "--provider-url", provider_url, "--port", "0", "--config", file.name
        process = await _started("serve", *where, *options)
        async with _ending(Command(process), process) as server:
            yield server


@asynccontextmanager
async def _ending(command: C, process: Process) -> AsyncIterator[C]:
    try:
        await command.listens()
        yield command
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _started(*arguments: str) -> Process:
    command = [sys.executable, "-u", "-m", "callguard", *arguments]
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=ROOT,
        env=environment(),
        limit=_LONGEST_LINE,
    )


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what would change how the commands behave."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RETELL_", "CALLGUARD_", "FORCE_COLOR"))
    }
    return {**kept, **variables}
