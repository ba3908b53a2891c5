"""`callguard top` as a process of its own: against a server, on a terminal, and without one."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from callguard.cli.exits import ExitCode
from tests.integration.support import LONGEST, environment
from tests.integration.terminals import (
    ALTERNATE_SCREEN,
    COMMAND,
    FIRST_SCREEN,
    Terminal,
    killed_at_last,
    posix,
)
from tests.support.overviews import busy


class Serving:
    """A server of one overview, and what it was asked to do."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, object]] = []
        self.changes: dict[str, object] = {}
        self.port = 0

    @asynccontextmanager
    async def up(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_get("/v1/status", self._status)
        application.router.add_post("/v1/{order}", self._order)
        async with TestServer(application, port=self.port) as server:
            self.port = server.port or 0
            yield str(server.make_url("")).rstrip("/")

    async def _status(self, request: web.Request) -> web.Response:
        return web.json_response(busy().as_json() | self.changes)

    async def _order(self, request: web.Request) -> web.Response:
        order = request.match_info["order"]
        self.orders.append((order, await request.json()))
        return web.json_response({"resumed": False} if order == "resume" else {"pauses": []})


@pytest.mark.slow
async def test_one_object_for_scripts_and_a_picture_for_a_log() -> None:
    """A script would have to read a picture, or a log be full of frames."""
    async with Serving().up() as url:
        for arguments in (("--json",), ()):
            process = await asyncio.create_subprocess_exec(
                *COMMAND, "top", "--url", url, *arguments, stdout=PIPE, stderr=PIPE,
                env=environment(FORCE_COLOR="1"),
            )  # fmt: skip
            async with asyncio.timeout(LONGEST), killed_at_last(process):
                out, err = await process.communicate()
            assert (process.returncode, err) == (ExitCode.OK, b"")
            if arguments:
                assert json.loads(out) == json.loads(json.dumps(busy().as_json()))
            else:
                assert b"\x1b" not in out
                assert out.endswith(b"\n")
                assert "urgent admitted: 16 of 26 in use" in out.decode()


@pytest.mark.slow
@posix
async def test_keys_pause_resume_and_quit() -> None:
    """An operator could not stop a campaign, or be left with a broken terminal."""
    serving = Serving()
    async with (
        serving.up() as url,
        Terminal.running("top", "--url", url, CALLGUARD_TOKEN=None) as (terminal, process),
    ):
        await terminal.shows(b"16 of 26 in use")
        assert ALTERNATE_SCREEN in terminal.output
        assert not terminal.is_as_before
        terminal.press("p")
        await terminal.shows(b"everything paused")
        terminal.press("r")
        await terminal.shows(b"it was not paused as a whole")
        assert serving.orders == [("pause", {"reason": "from top"}), ("resume", {})]
        terminal.output = b""
        terminal.resize(24, 60)
        await terminal.shows(b"urgent")
        terminal.press("q")
        assert await process.wait() == ExitCode.OK
        await terminal.shows(b"\x1b[?1049l")
        assert terminal.is_as_before
        assert b"Traceback" not in terminal.output


@pytest.mark.slow
@posix
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
async def test_a_signal_leaves_the_terminal_as_it_was(how: str) -> None:
    """Whoever ends it would have a terminal without echo, cursor or scrolling."""
    async with (
        Serving().up() as url,
        Terminal.running("top", "--url", url) as (terminal, process),
    ):
        await terminal.shows(b"16 of 26 in use")
        if how == "Ctrl-C":
            terminal.press_ctrl_c()
        else:
            process.send_signal(signal.SIGTERM)
        code = {"Ctrl-C": ExitCode.INTERRUPTED, "SIGTERM": ExitCode.TERMINATED}[how]
        assert await process.wait() == code
        await terminal.shows(b"interrupted" if how == "Ctrl-C" else b"terminated")
        assert terminal.is_as_before
        assert b"Traceback" not in terminal.output


@pytest.mark.slow
@posix
async def test_a_crash_leaves_the_terminal_as_it_was() -> None:
    """A defect of the drawing would cost its user the terminal as well."""
    serving = Serving()
    async with (
        serving.up() as url,
        Terminal.running("top", "--url", url) as (terminal, process),
    ):
        await terminal.shows(b"16 of 26 in use")
        serving.changes = {"at": 1e300}  # no date that can be shown
        assert await process.wait() == 1
        await terminal.shows(b"Error")
        assert terminal.output.rfind(b"Traceback") > terminal.output.rfind(FIRST_SCREEN) > 0
        assert terminal.is_as_before


@pytest.mark.slow
@posix
async def test_a_server_that_goes_away_and_comes_back() -> None:
    """An operator would take an old picture for the present, or have to begin again."""
    serving, shining = Serving(), b"\x1b[1;32murgent "
    async with AsyncExitStack() as stack:
        async with serving.up() as url:
            running = Terminal.running("top", "--url", url)
            terminal, process = await stack.enter_async_context(running)
            await terminal.shows(shining)
        await terminal.shows(b"s old")
        assert b"nobody answers" in terminal.output
        terminal.output = b""
        async with serving.up():
            await terminal.shows(shining)
            terminal.press("q")
            assert await process.wait() == ExitCode.OK
