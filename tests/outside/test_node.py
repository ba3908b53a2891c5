"""Unchanged Node.js programs on the provider's own SDK, through ``callguard serve``."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.campaigns.proxies import carry_out
from tests.integration.serve_support import served, stub
from tests.support.commands import (
    KEY,
    QUICK_GATE,
    QUICK_WORLD,
    environment,
    serving,
    simulator,
)
from tests.support.dialers import HERE, dialling
from tests.support.node import node_modules

pytestmark = pytest.mark.outside


@pytest.fixture(scope="module")
def modules() -> Path:
    return node_modules()


@pytest.mark.parametrize(("count", "limit"), [(40, 4), (1000, 200)])
async def test_each_lead_is_called_once(modules: Path, count: int, limit: int) -> None:
    """Of dialers in JavaScript, some or all at once, a lead would be lost, refused or repeated."""
    leads = range(count)
    async with (
        simulator(*QUICK_WORLD, "--limit", f"{limit}") as workspace,
        serving(workspace.url, "--cps", "none", workspace=QUICK_GATE) as proxy,
    ):
        program = dialling("dial.js", proxy.url, leads, at_once=count, node_modules=modules)
        dialled = [each async for each in program]
        calls = await workspace.calls()
        truth = await workspace.truth()
    assert sorted(each.lead for each in dialled) == list(leads)
    assert Counter(each.error for each in dialled) == {None: count}
    assert {each.call_id for each in dialled} == {call["call_id"] for call in calls}
    assert len({call["to_number"] for call in calls}) == count
    assert (truth["placed"], truth["refusals"]) == (count, 0)
    assert KEY not in proxy.output


async def test_what_the_sdk_makes_of_answers_is_the_same_as_without_a_proxy(modules: Path) -> None:
    """A program would catch other errors, or find other fields, than with the provider."""
    async with simulator(*QUICK_WORLD) as workspace, serving(workspace.url) as proxy:
        bare, proxied = [await asked(url, modules) for url in (workspace.url, proxy.url)]
    assert proxied == bare
    for error in ("AuthenticationError", "BadRequestError", "NotFoundError"):
        assert error in bare


async def asked(url: str, modules: Path) -> str:
    """The output of the program that asks, in front of an address."""
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", str(HERE / "ask.js")],
        capture_output=True,
        text=True,
        check=True,
        env=environment(RETELL_API_KEY=KEY, RETELL_BASE_URL=url, NODE_PATH=str(modules)),
    )
    return done.stdout


async def test_a_killed_proxy_loses_no_lead_and_repeats_none(modules: Path) -> None:
    """Whoever runs two proxies for safety would lose leads with one, or call some twice."""
    report = await carry_out(leads=80, limit=20, cps=5.0, at_once=40, kill=True)
    assert (report.lost, report.twice, report.truth["placed"]) == (0, 0, 80)
    assert report.seen.retries > 0
    assert not report.seen.errors


async def test_the_sdk_announces_how_long_it_waits_for_a_call(modules: Path) -> None:
    """Its programs would be sent away after 25 s, while they wait for 120 s."""
    async with stub(key=KEY) as provider, served(provider.url) as proxy:
        program = dialling("dial.js", proxy.url, range(1), at_once=1, node_modules=modules)
        assert [each.error async for each in program] == [None]
        assert provider.requests[-1].headers["X-Stainless-Timeout"] == "120"
