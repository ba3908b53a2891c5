"""Events for those who follow them at their own speed, and their stream over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from callguard.events import Queued
from callguard.serve.events import HEARTBEAT
from callguard.serve.happenings import KEPT, Happenings
from tests.support.virtual_time import jumping
from tests.unit.serve.support import Client, asking


def queued(waiting: int) -> Queued:
    return Queued("default", waiting, gate="g", workspace="w")


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """The data of the events in a stream."""
    lines = stream.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@jumping
async def test_a_slow_follower_is_told_how_many_events_it_missed() -> None:
    """An operator would believe that nothing happened, or the server would keep all for one."""
    happenings = Happenings(now=lambda: 7.0)
    slow, fast = happenings.follow(), happenings.follow()
    seen = 0
    for number in range(KEPT + 5):
        happenings(queued(number))
        text = await fast.next()
        assert text is not None
        seen += len(parsed(text))
    assert seen == KEPT + 5
    text = await slow.next()
    assert text is not None
    missed, first, *_ = parsed(text)
    assert missed == {"event": "missed", "events": 5}
    assert first == {
        "event": "Queued", "at": 7.0, "lane": "default", "waiting": 5, "gate": "g",
        "workspace": "w",
    }  # fmt: skip
    total = len(parsed(text)) - 1
    while total < KEPT:
        text = await slow.next()
        assert text is not None
        total += len(parsed(text))
    assert total == KEPT


@jumping
async def test_a_follower_that_comes_back_goes_on_where_it_was() -> None:
    """A page that lost its connection for a moment would show a hole."""
    happenings = Happenings()
    follower = happenings.follow()
    for number in range(3):
        happenings(queued(number))
    text = await follower.next()
    assert text is not None
    ids = [line.removeprefix("id: ") for line in text.decode().splitlines() if "id: " in line[:4]]
    assert len(ids) == 3
    again = await happenings.follow(ids[0]).next()
    assert again is not None
    assert [each["waiting"] for each in parsed(again)] == [1, 2]
    for foreign in ("", "other-1", f"{happenings.id}-", f"{happenings.id}-x", ids[0] + "9" * 50):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(happenings.follow(foreign).next(), 1.0)


@jumping
async def test_the_end_of_the_server_ends_the_stream_after_its_last_event() -> None:
    """Clients would hang on a server that stops, or miss what it did last."""
    happenings = Happenings()
    follower = happenings.follow()
    happenings(queued(1))
    happenings.end()
    assert await follower.next() is not None
    assert await follower.next() is None


async def _next_event(answer: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    name = ""
    while True:
        line = (await answer.content.readline()).decode().rstrip()
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))


@jumping
async def test_events_come_as_they_happen() -> None:
    """Whoever follows a campaign would see nothing of it."""
    async with asking(limit=1) as client, client.session.get(f"{client.url}/v1/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readline() == b": connected\n"
        held = (await client.permit()).body
        name, event = await _next_event(answer)
        assert (name, event["permit_id"]) == ("Admitted", held["permit_id"])
        await client.ask("DELETE", f"/v1/permits/{held['id']}")
        assert (await _next_event(answer))[0] == "Cancelled"


@jumping
async def test_a_quiet_stream_has_a_heartbeat() -> None:
    """A proxy on the way would take the connection for dead."""
    async with asking() as client, client.session.get(f"{client.url}/v1/events") as answer:
        loop = asyncio.get_running_loop()
        assert await answer.content.readuntil(b"\n\n") == b": connected\n\n"
        began = loop.time()
        assert await answer.content.readuntil(b"\n\n") == b": nothing happened\n\n"
        assert loop.time() - began == pytest.approx(HEARTBEAT, abs=0.1)


@jumping
async def test_a_client_that_reads_nothing_holds_nobody_up() -> None:
    """One stalled page would stop the campaign, or fill the server's memory."""
    async with asking(limit=1) as client:
        reader, writer = await _connected(client)
        await reader.readuntil(b": connected\n\n")
        workspace = client.workspace
        many = 10 * KEPT
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(many):
            workspace.happenings(Queued("lane" * 500, number, gate="g", workspace="w"))
            if number % 50 == 0:
                await asyncio.sleep(0)
        assert (await client.permit()).status == 201
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        text = b""
        while b'"permit_id"' not in text:
            text += await reader.read(65536)
        writer.close()
        events = parsed(text[: text.rindex(b"\n\n")])
        missed = sum(each["events"] for each in events if each["event"] == "missed")
        shown = sum(each["event"] == "Queued" for each in events)
        assert missed > 0
        assert shown + missed == many


async def _connected(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**16)
    writer.write(f"GET /v1/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    return reader, writer


@jumping
async def test_the_stream_ends_with_the_server() -> None:
    """A restart would hang until every page is closed."""
    async with asking() as client:
        async with client.session.get(f"{client.url}/v1/events") as answer:
            await answer.content.readuntil(b"\n\n")
            began = asyncio.get_running_loop().time()
            closing = asyncio.create_task(client.runner.cleanup())
            assert await answer.content.read() == b""
            await closing
            assert asyncio.get_running_loop().time() - began < 5.0
