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


async def campaign(calls: int) -> None:
    """A dialer that finds its workspace in the environment."""
    headers = {"Authorization": f"Bearer {os.environ['RETELL_API_KEY']}"}
    async with (
        callguard.open_gate() as gate,
        httpx.AsyncClient(base_url=os.environ["RETELL_BASE_URL"], headers=headers) as client,
    ):
        await asyncio.gather(*(dial(client, gate, f"+1{number}") for number in range(calls)))


def test_a_dialer_finds_the_workspace_and_keeps_its_limit(simulated_workspace: Make) -> None:
    """A dialer would have to be changed for its test, or would dial in the real workspace."""
    workspace = simulated_workspace(limit=3)
    workspace.run(campaign(20))
    truth = workspace.truth()
    assert (truth.placed, truth.refusals, truth.peak) == (20, 0, 3)
    assert truth.elapsed > 60.0


def test_a_test_goes_the_same_way_each_time(simulated_workspace: Make) -> None:
    """A test of a dialer would pass one time, and fail the next."""

    def truth() -> Truth:
        workspace = simulated_workspace(limit=3, inbound_rate=0.05)
        workspace.run(campaign(10))
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
