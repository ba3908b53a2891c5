"""The simulated workspace on a clock that jumps, as a user's tests have it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

import callguard
from callguard.simulator import BUSY, Truth
from callguard.testing import VirtualWorkspace

ROOT = Path(__file__).parents[3]

Make = Callable[..., VirtualWorkspace]


async def dial(client: httpx.AsyncClient, gate: callguard.Gate, number: str) -> None:
    async with gate.admit() as permit:
        body = {"from_number": "+14155550100", "to_number": number, "idempotency_key": permit.id}
        answer = await client.post("/v2/create-phone-call", json=body)
        permit.placed(answer.raise_for_status().json()["call_id"])


async def campaign(calls: int, reserve: int = 0) -> None:
    """A dialer that finds its workspace in the environment, and leaves slots free for others."""
    headers = {"Authorization": f"Bearer {os.environ['RETELL_API_KEY']}"}
    async with (
        callguard.open_gate(lanes=[callguard.Lane("leads", reserve=reserve, default=True)]) as gate,
        httpx.AsyncClient(base_url=os.environ["RETELL_BASE_URL"], headers=headers) as client,
    ):
        await asyncio.gather(*(dial(client, gate, f"+1{number}") for number in range(calls)))


def test_a_dialer_finds_the_workspace_and_keeps_its_limit(simulated_workspace: Make) -> None:
    """A dialer would have to be changed for its test, or would dial in the real workspace."""
    workspace = simulated_workspace(limit=3)
    workspace.run(campaign(20))
    truth = workspace.truth()
    assert (truth.placed, truth.refusals, truth.peak <= 3) == (20, 0, True)
    assert truth.elapsed > 60.0


async def dial_all_at_once(workspace: VirtualWorkspace, calls: int) -> list[tuple[int, str]]:
    """What becomes of dials at one moment: each one's HTTP status, and its call's."""
    headers = {"Authorization": f"Bearer {workspace.api_key}"}

    async def dial(client: httpx.AsyncClient, number: int) -> tuple[int, str]:
        body = {"from_number": "+14155550100", "to_number": f"+1{number}"}
        answer = await client.post("/v2/create-phone-call", json=body)
        return answer.status_code, answer.json().get("call_status", "")

    async with httpx.AsyncClient(base_url=workspace.url, headers=headers) as client:
        return await asyncio.gather(*(dial(client, number) for number in range(calls)))


@pytest.mark.parametrize(
    ("knobs", "refused"),
    [
        ({"cps": 1.0}, (429, "")),
        ({"cps": 1.0, "cps_refusal": "dead-call"}, (201, "error")),
        ({"cps": 9.0, "cps_rule": "spacing"}, (429, "")),
        ({"trunks": {"+14155550100": 1.0}}, (429, "")),
    ],
)
def test_dials_that_come_too_fast_are_refused(
    simulated_workspace: Make, knobs: dict[str, Any], refused: tuple[int, str]
) -> None:
    """A dialer that is too fast for the provider would pass its test."""
    workspace = simulated_workspace(limit=20, **knobs)
    became = workspace.run(dial_all_at_once(workspace, 5))
    assert sorted(became) == sorted([(201, "registered"), *[refused] * 4])
    truth = workspace.truth()
    assert (truth.placed, truth.refusals, truth.rate_refusals) == (1, 4, 4)
    assert truth.most_dials_in_a_second == 5


def test_a_dialer_that_keeps_the_rate_is_not_refused(simulated_workspace: Make) -> None:
    """A dialer would fail its test though it does what the provider asks for."""
    workspace = simulated_workspace(limit=20, cps=1.0, cps_rule="spacing")

    async def dial_each_second() -> None:
        for _ in range(5):
            await dial_all_at_once(workspace, 1)
            await asyncio.sleep(1.0)

    workspace.run(dial_each_second())
    truth = workspace.truth()
    assert (truth.placed, truth.refusals, truth.most_dials_in_a_second) == (5, 0, 1)


def test_a_test_goes_the_same_way_each_time(simulated_workspace: Make) -> None:
    """A test of a dialer would pass one time, and fail the next."""

    def truth() -> Truth:
        workspace = simulated_workspace(limit=5, inbound_rate=0.05)
        workspace.run(campaign(10, reserve=2))
        return workspace.truth()

    assert truth() == truth()


def test_a_number_has_the_fate_that_is_scripted(simulated_workspace: Make) -> None:
    """Only what is drawn could be tested."""
    workspace = simulated_workspace(limit=3, numbers={"+11": BUSY})
    workspace.run(campaign(3))
    workspace.run(asyncio.sleep(3600.0))
    reasons = {call.to_number: call.disconnection_reason for call in workspace.workspace.calls()}
    assert reasons["+11"] == "dial_busy"
    assert "dial_busy" not in (reasons["+10"], reasons["+12"])


def test_a_dialer_that_hangs_is_given_up() -> None:
    """A test would hang, or leave a server behind."""
    with VirtualWorkspace() as workspace:
        with pytest.raises(RuntimeError, match="nothing is left that could wake the loop"):
            workspace.run(asyncio.Event().wait())
        url = workspace.url
    with pytest.raises(aiohttp.ClientConnectorError):
        asyncio.run(_ask(url))


@pytest.mark.parametrize(
    ("options", "error"), [({"limit": -1}, ValueError), ({"nonsense": 1}, TypeError)]
)
def test_a_workspace_that_cannot_be_leaves_nothing_behind(
    options: dict[str, Any], error: type[Exception]
) -> None:
    """Its event loop would stay open, which pytest takes for a fault of the next test."""
    with pytest.raises(error), VirtualWorkspace(**options):
        pass


def test_pytest_finds_the_fixture_and_imports_callguard_only_for_it() -> None:
    """Nobody would have the fixture, or every run of pytest would pay for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"callguard_pytest": "callguard_pytest"}
    script = "import sys, callguard_pytest; assert 'callguard' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    script = "import sys, callguard.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


async def _ask(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass
