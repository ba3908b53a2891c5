"""Renderings that all who watch share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from callguard.errors import GateClosed
from callguard.serve.page.rendering import PARTS, Renderer
from callguard.serve.page.watching import Watching
from callguard.serve.views import Happening, Overview
from tests.support.overviews import NOW, busy
from tests.support.page_server import OnShow
from tests.support.virtual_time import jumping


def watching(shown: OnShow) -> Watching:
    return Watching(shown, Renderer(read_only=False), "run")


async def heard(updates: AsyncGenerator[bytes]) -> dict[str, Any]:
    message = await anext(updates)
    assert message.startswith(b"data: ")
    assert message.endswith(b"\n\n")
    assert message.count(b"\n") == 2
    said: dict[str, Any] = json.loads(message[6:])
    return said


def happened(overview: Overview, sentence: str) -> Overview:
    return replace(overview, events=(Happening(NOW, "Told", sentence), *overview.events))


@jumping
async def test_all_come_first_and_then_what_changed() -> None:
    """A page would begin with holes, or get everything anew every second."""
    shown = OnShow(busy())
    async with aclosing(watching(shown).updates()) as updates:
        first = await heard(updates)
        assert set(first["parts"]) == set(PARTS)
        assert first["run"] == "run"
        shown.shown = happened(shown.shown, "it rained")
        second = await heard(updates)
        assert set(second["parts"]) == {"events"}
        assert "it rained" in second["parts"]["events"]


@jumping
async def test_without_a_change_watchers_hear_every_five_seconds() -> None:
    """A page could not tell a quiet workspace from a dead connection."""
    loop = asyncio.get_running_loop()
    async with aclosing(watching(OnShow(busy())).updates()) as updates:
        await heard(updates)
        began = loop.time()
        assert (await heard(updates))["parts"] == {}
        assert 4.5 < loop.time() - began < 5.5


@jumping
async def test_a_hundred_who_watch_cost_one_rendering_a_second_and_nobody_none() -> None:
    """The gate would be slower the more people look at it, or be busy for nobody."""
    shown = OnShow(busy())
    shared = watching(shown)

    async def watch() -> list[bytes]:
        async with aclosing(shared.updates()) as updates:
            return [await anext(updates) for _ in range(4)]

    async def make_it_rain() -> None:
        for drop in range(10):
            await asyncio.sleep(1.0)
            shown.shown = happened(shown.shown, f"drop {drop}")

    raining = asyncio.create_task(make_it_rain())
    messages = await asyncio.gather(*(watch() for _ in range(100)))
    assert all(each == messages[0] for each in messages)
    assert shown.looked <= 5
    assert messages[0][2] is messages[50][2], "each was encoded by itself"
    looked = shown.looked
    assert not shared.is_watched
    await raining
    assert shown.looked == looked


@jumping
async def test_a_slow_one_misses_what_lies_between_and_holds_nobody_up() -> None:
    """A telephone in a tunnel would stop the page of everybody else, or fill the memory."""
    shown = OnShow(busy())
    shared = watching(shown)
    async with aclosing(shared.updates()) as slow, aclosing(shared.updates()) as fast:
        await heard(slow)
        await heard(fast)
        for drop in range(3):
            shown.shown = happened(shown.shown, f"drop {drop}")
            assert f"drop {drop}" in (await heard(fast))["parts"]["events"]
        shown.shown = replace(shown.shown, outage="no answer")
        assert set((await heard(fast))["parts"]) == {"standing", "sentences"}
        assert set((await heard(slow))["parts"]) == {"standing", "sentences", "events"}


@jumping
async def test_whoever_loads_the_page_again_and_again_shares_the_rendering() -> None:
    """A page without JavaScript, in many hands, would render as often as it is asked."""
    shown = OnShow(busy())
    shared = watching(shown)
    for _ in range(50):
        await shared.latest()
    assert shown.looked == 1
    await asyncio.sleep(1.0)
    await shared.latest()
    assert shown.looked == 2


@pytest.mark.parametrize("failure", [GateClosed("closed"), ZeroDivisionError()])
def test_updates_end_with_the_gate(failure: Exception) -> None:
    """Pages would wait for ever for updates of a gate that is closed."""

    @jumping
    async def until_the_end() -> None:
        shown = OnShow(busy())
        shared = watching(shown)
        async with aclosing(shared.updates()) as updates:
            await heard(updates)
            shown.failure = failure
            with pytest.raises(StopAsyncIteration):
                await anext(updates)
        assert shared.is_over

    until_the_end()


@jumping
async def test_what_an_order_changes_is_shown_at_once() -> None:
    """An operator would press a button, and see the page as it was before."""
    shown = OnShow(busy())
    shared = watching(shown)
    async with aclosing(shared.updates()) as updates:
        await heard(updates)
        shown.pause(None, None, "storm")
        shared.look_again()
        began = asyncio.get_running_loop().time()
        assert "storm" in (await heard(updates))["parts"]["sentences"]
        assert asyncio.get_running_loop().time() == began
    shown.resume(None, None)
    shared.look_again()
    assert "storm" not in (await shared.latest()).parts["sentences"]


@jumping
async def test_whoever_comes_later_sees_nothing_old() -> None:
    """A page would begin with what was true when somebody looked last."""
    shown = OnShow(busy())
    shared = watching(shown)
    async with aclosing(shared.updates()) as updates:
        await heard(updates)
    await asyncio.sleep(60.0)
    shown.shown = happened(shown.shown, "it rained")
    async with aclosing(shared.updates()) as updates:
        first = await heard(updates)
        assert set(first["parts"]) == set(PARTS)
        assert "it rained" in first["parts"]["events"]


@jumping
async def test_closing_ends_the_updates() -> None:
    """A server could not stop while a page is open."""
    shared = watching(OnShow(busy()))
    async with aclosing(shared.updates()) as updates:
        await heard(updates)
        waiting = asyncio.create_task(anext(updates, None))
        await asyncio.sleep(0)
        await shared.aclose()
        assert await waiting is None
