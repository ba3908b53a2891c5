"""``callguard serve`` as a process: it listens, and a signal drains it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.serve_support import CREATE, KEY, LEAD, client, silent, stub, until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def command(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, which is killed in the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "callguard", "serve", "--port", "0", *arguments),
        cwd=ROOT,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def address(process: asyncio.subprocess.Process) -> str:
    """The address on which the command says that it listens."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = (await process.stdout.readline()).decode()
    return line.split("listens on ")[1].split(",")[0]


async def test_a_signal_tells_those_who_wait_to_come_back_and_ends_with_success() -> None:
    """A deployment would break the connections of all who wait, or be taken for a failure."""
    async with stub(limit=1) as provider:
        provider_url = ("--provider-url", provider.url, "--cps", "none")
        async with command(*provider_url, RETELL_API_KEY=KEY) as process, client() as session:
            create = await address(process) + "/v2/create-phone-call"
            async with session.post(create, json=LEAD) as answer:
                assert answer.status == 201
            provider.count = 1
            waiting = asyncio.create_task(session.post(create, json=LEAD))
            readings = provider.readings
            await until(lambda: provider.readings > readings)
            process.send_signal(signal.SIGTERM)
            async with await waiting as answer:
                problem = await answer.json(content_type="application/problem+json")
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) >= 1
            assert problem["type"] == "urn:callguard:draining"
            async with session.post(create, json=LEAD) as answer:
                assert answer.status == 503
            async with session.get(create.replace("create", "get")) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)  # the count shows the call only 32 s later
            async with asyncio.timeout(60):
                _, said = await process.communicate()
            assert KEY.encode() not in said
        assert len(provider.dials) == 1


@pytest.mark.parametrize(
    ("drain", "signals", "code"), [("60", 2, 128 + signal.SIGTERM), ("0.1", 1, 0)]
)
async def test_a_dial_without_an_answer_does_not_hold_the_server_up(
    drain: str, signals: int, code: int
) -> None:
    """A server that is to end would run for two minutes more, and be killed in the middle."""
    async with stub() as provider:
        provider.answers = [silent]
        arguments = ("--provider-url", provider.url, "--cps", "none")
        async with command(*arguments, CALLGUARD_DRAIN=drain) as process, client() as session:
            url = await address(process)
            dial = asyncio.create_task(session.post(url + CREATE, json=LEAD))
            await until(lambda: len(provider.dials) == 1)
            process.send_signal(signal.SIGTERM)
            if signals == 2:
                await draining(session, url)
                process.send_signal(signal.SIGTERM)
            async with await dial as answer:
                problem = await answer.json(content_type="application/problem+json")
                assert answer.status == 502
                assert answer.headers["x-should-retry"] == "false"
            assert problem["type"] == "urn:callguard:in-doubt"
            async with asyncio.timeout(20):
                await process.communicate()
            assert process.returncode == code


async def draining(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until the server says that it drains."""
    async with asyncio.timeout(20):
        while True:
            async with session.get(url + "/healthz") as answer:
                if answer.status == 503:
                    return


async def test_a_server_without_calls_drains_at_once() -> None:
    """A restart would take as long as the longest drain."""
    async with stub() as provider, command("--provider-url", provider.url) as process:
        await address(process)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 0


async def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    """An operator would see a traceback."""
    async with stub() as provider:
        port = provider.url.rpartition(":")[2]
        async with command("--port", port) as process:
            _, said = await process.communicate()
        assert process.returncode == 69
        assert said.decode().startswith("can't listen on 127.0.0.1 port")
