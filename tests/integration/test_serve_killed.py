"""A client that is killed while it waits for a permit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from callguard.serve.settings import ServeSettings
from tests.integration.support import LONGEST
from tests.unit.serve.support import UNRATED, asking

POLL = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST):
        while not condition():  # noqa: ASYNC110 - a process that is killed sets no event
            await asyncio.sleep(0.01)


async def test_a_client_that_is_killed_in_its_poll_leaves_the_queue() -> None:
    """Its permit would stay in the queue, and take a slot that nobody dials with."""
    brief = ServeSettings(workspace=UNRATED, renew_within=0.5)
    async with asking(limit=1, settings=brief) as client:
        await client.permit()
        name = (await client.permit()).body["id"]
        held = client.workspace.permits.find(name)
        renewing = asyncio.create_task(client.workspace.permits.poll(held, LONGEST))
        address = f"{client.url}/v1/permits/{name}?wait=25"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", POLL, address)
        await until(lambda: held.polls == 2)
        renewing.cancel()  # the process took its time to start
        process.kill()
        await process.wait()
        await until(lambda: held.state == "expired")
        await until(lambda: client.workspace.gate.statistics().waiting["default"] == 0)
