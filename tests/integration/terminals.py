"""A terminal for a command of its own, and what the command makes of it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.support import LONGEST, environment

if sys.platform != "win32":
    import termios

COMMAND = (sys.executable, "-m", "callguard")
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"
ALTERNATE_SCREEN, FIRST_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and terminals")


@asynccontextmanager
async def killed_at_last(process: Process) -> AsyncIterator[None]:
    """Leave no process behind, whatever a test does."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Terminal:
    """A terminal that a command has for its own, and what it has written to it so far."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        termios.tcsetwinsize(self._theirs, (30, 100))
        self._before = termios.tcgetattr(self._theirs)
        self._news = asyncio.Event()
        self.output = b""
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    @classmethod
    @asynccontextmanager
    async def running(
        cls, *arguments: str, **variables: str | None
    ) -> AsyncIterator[tuple[Terminal, Process]]:
        """A command in the foreground of a new terminal, and that terminal."""
        terminal = cls()
        try:
            process = await terminal._run(*arguments, env=environment(**variables))
            async with asyncio.timeout(LONGEST), killed_at_last(process):
                yield terminal, process
        finally:
            terminal.close()

    async def shows(self, text: bytes) -> None:
        """Wait until `text` has been written."""
        while text not in self.output:
            self._news.clear()
            await self._news.wait()

    def press(self, keys: str) -> None:
        """What the keyboard does."""
        os.write(self._ours, keys.encode())

    def press_ctrl_c(self) -> None:
        """What the key does: the terminal sends the signal."""
        self.press("\x03")

    def resize(self, lines: int, columns: int) -> None:
        """Another size, of which the terminal tells."""
        termios.tcsetwinsize(self._ours, (lines, columns))

    @property
    def is_as_before(self) -> bool:
        """Whether its settings and its screen are as they were, and its cursor can be seen."""
        visible = self.output.rfind(SHOW_CURSOR) >= self.output.rfind(HIDE_CURSOR)
        visible &= self.output.rfind(FIRST_SCREEN) >= self.output.rfind(ALTERNATE_SCREEN)
        return visible and termios.tcgetattr(self._theirs) == self._before

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self._theirs)

    async def _run(self, *arguments: str, env: dict[str, str]) -> Process:
        # What begins as its own program, since loops differ in when a `preexec_fn` runs.
        login = (
            "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
        )
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", login, str(self._theirs), *COMMAND, *arguments),
            env=env,
            pass_fds=(self._theirs,),
        )

    def _read(self) -> None:
        self.output += os.read(self._ours, 65536)
        self._news.set()
