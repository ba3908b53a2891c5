"""The examples are run as they stand, and in what goes wrong."""

from __future__ import annotations

import asyncio
import csv
import re
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from aiohttp import ClientSession
from retell import AsyncRetell
from temporalio.testing import ActivityEnvironment

import callguard
from callguard.simulator import serve
from callguard.simulator.bodies import DialRequest
from callguard.testing import VirtualWorkspace
from tests.integration.support import LONGEST, environment, served

EXAMPLES = Path(__file__).parents[2] / "examples"

ELSEWHERE = {"arq_worker.py"}
"""Examples that `.ci/run` runs in environments of their own: arq wants an older redis-py."""

CELERY_NEEDS = (5, 2)
"""The oldest redis-py with which Celery 5.7 runs, and so its example."""

Example = Callable[[str], Any]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Example:
    """Imports an example by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module


@pytest.mark.slow
def test_the_examples_run() -> None:
    """What a newcomer copies from an example would not work."""
    names = sorted({path.name for path in EXAMPLES.glob("*.py")} - ELSEWHERE)
    if tuple(map(int, redis.__version__.split(".")[:2])) < CELERY_NEEDS:
        names.remove("celery_app.py")
    command = [sys.executable, "-m", "pytest", "-v", "-o", "addopts=", "-p", "no:cacheprovider"]
    command += ["-p", "callguard_pytest"]  # also where the installation is older than the plugin
    done = subprocess.run(
        [*command, *names], capture_output=True, text=True, check=False, cwd=EXAMPLES
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"(\w+\.py)::\w+ PASSED", done.stdout)
    assert sorted(set(passed)) == names, done.stdout


def activity(name: str, *, age: timedelta = timedelta()) -> ActivityEnvironment:
    """An activity that was scheduled that long ago."""
    environment = ActivityEnvironment()
    scheduled = datetime.now(UTC) - age
    environment.info = replace(environment.info, activity_id=name, scheduled_time=scheduled)
    return environment


@pytest.mark.parametrize("refusal", ["429", "dead-call"])
def test_an_activity_outlives_refusals(
    example: Example, simulated_workspace: Callable[..., VirtualWorkspace], refusal: str
) -> None:
    """A refused lead would be lost and reported as placed, or called again by the repetition."""
    workspace = simulated_workspace(limit=5, cps=1.0, cps_refusal=refusal)

    async def campaign() -> None:
        async with callguard.open_gate(cps=5.0) as gate, AsyncRetell() as retell:
            place_call = example("temporal_activity").Dialer(gate, retell).place_call
            first, again = [
                await asyncio.gather(
                    *(activity(f"{lead}").run(place_call, f"+1212555000{lead}") for lead in "123")
                )
                for _ in range(2)
            ]
        assert first == again
        assert len(set(first)) == 3

    workspace.run(campaign())
    assert workspace.truth().placed == 3
    assert workspace.truth().refusals > 0


def test_an_activity_that_is_repeated_too_late_dials_nobody(
    example: Example, simulated_workspace: Callable[..., VirtualWorkspace]
) -> None:
    """A lead would be called a second time, by a key that the provider has forgotten."""
    workspace = simulated_workspace(limit=5)

    async def campaign() -> None:
        async with callguard.open_gate() as gate, AsyncRetell() as retell:
            place_call = example("temporal_activity").Dialer(gate, retell).place_call
            await activity("1").run(place_call, "+12125550001")
            await asyncio.sleep(3600.0)
            with pytest.raises(callguard.AdmissionTimeout):
                await activity("1", age=timedelta(hours=1)).run(place_call, "+12125550001")

    workspace.run(campaign())
    assert workspace.truth().placed == 1


@pytest.mark.parametrize("refusal", ["429", "dead-call"])
def test_a_web_request_outlives_a_refusal(
    example: Example, simulated_workspace: Callable[..., VirtualWorkspace], refusal: str
) -> None:
    """A refused lead would be answered with an error, or with the id of a call that never rang."""
    workspace = simulated_workspace(limit=5, cps=0.25, cps_refusal=refusal)

    async def campaign() -> None:
        async with callguard.open_gate() as gate, AsyncRetell() as retell:
            request = SimpleNamespace(state=SimpleNamespace(gate=gate, retell=retell))
            call = example("fastapi_webhooks").call
            await asyncio.gather(*(call(f"+1212555000{lead}", request) for lead in "12"))

    workspace.run(campaign())
    assert workspace.truth().placed == 2
    assert workspace.truth().refusals > 0


BAD = "+0"
NUMBERS = [BAD, "+12135550001", "+12135550002"]


@pytest.fixture
def _bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a simulated workspace answer 400 to a dial of `BAD`."""
    parse = DialRequest.parse
    quoted = f'"{BAD}"'.encode()
    monkeypatch.setattr(DialRequest, "parse", lambda body: None if quoted in body else parse(body))


@pytest.mark.usefixtures("_bad")
async def test_a_bad_number_of_the_file_ends_nothing(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One typing error in the file would end the campaign, and who was called be forgotten."""
    leads, calls = tmp_path / "leads.csv", tmp_path / "calls.csv"
    leads.write_text("\n".join(["number", *NUMBERS]))
    for name in ("RETELL_API_KEY", "RETELL_BASE_URL"):
        monkeypatch.setenv(name, "")  # the example sets them
    truth = await example("csv_script").campaign(leads, calls)
    assert truth.placed == 2
    outcomes = dict(csv.reader(calls.read_text().splitlines()))
    assert set(outcomes) == set(NUMBERS)
    assert "400" in outcomes[BAD]


@pytest.mark.usefixtures("_bad")
def test_a_bad_number_ends_no_campaign_by_the_sdk(
    example: Example,
    simulated_workspace: Callable[..., VirtualWorkspace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One typing error would end the campaign, and who was called be forgotten."""
    workspace = simulated_workspace(limit=5)

    async def campaign() -> None:
        async with callguard.open_gate() as gate, AsyncRetell() as retell:
            await example("retell_sdk").dial_all(retell, gate, NUMBERS)

    workspace.run(campaign())
    check_printed(capsys, workspace)


@pytest.mark.usefixtures("_bad")
def test_a_bad_number_ends_no_campaign_that_drains(
    example: Example,
    simulated_workspace: Callable[..., VirtualWorkspace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One typing error would end the campaign, and who was called be forgotten."""
    workspace = simulated_workspace(limit=5)
    key = {"Authorization": f"Bearer {workspace.api_key}"}

    async def campaign() -> None:
        async with (
            callguard.open_gate() as gate,
            ClientSession(workspace.url, headers=key, raise_for_status=True) as session,
        ):
            dial = example("drain_on_sigterm").dial_until_told
            assert await dial(gate, session, NUMBERS) == []

    workspace.run(campaign())
    check_printed(capsys, workspace)


def check_printed(capsys: pytest.CaptureFixture[str], workspace: VirtualWorkspace) -> None:
    """The program has printed the outcome of each of the `NUMBERS`."""
    printed = dict(line.split(",", 1) for line in capsys.readouterr().out.splitlines())
    assert "400" in printed.pop(BAD)
    assert printed == {call.to_number: call.call_id for call in workspace.workspace.calls()}
    assert [BAD, *sorted(printed)] == NUMBERS


SCRIPT = """
import pathlib, sys, csv_script
times = {"ring_limit": 0.2, "counter_lag": 0.2, "ttl": 0.1, "min_interval": 0.05}
csv_script.dial_all(*map(pathlib.Path, sys.argv[1:]), cps=None, **times)
"""


@pytest.mark.slow
async def test_ctrl_c_forgets_nobody_who_was_called(example: Example, tmp_path: Path) -> None:
    """Who was called before Ctrl-C would be called again by the next run."""
    leads, calls = tmp_path / "leads.csv", tmp_path / "calls.csv"
    leads.write_text("number\n" + "".join(f"+1213555{lead:04}\n" for lead in range(20)))
    async with serve(example("csv_script").WORLD) as server:

        async def run() -> Process:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SCRIPT, leads, calls),
                env=environment(
                    RETELL_API_KEY=server.api_key,
                    RETELL_BASE_URL=server.url,
                    PYTHONPATH=str(EXAMPLES),
                ),
                cwd=EXAMPLES.parent,
            )

        async with asyncio.timeout(LONGEST):
            first = await run()
            while server.workspace.truth().placed < 3:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.01)
            first.send_signal(signal.SIGINT)
            assert await first.wait() == -signal.SIGINT
            assert server.workspace.truth().placed < 20
            assert await (await run()).wait() == 0
        assert server.workspace.truth().placed == 20
    assert len(calls.read_text().splitlines()) == 20


def test_a_task_says_why_its_gate_does_not_open(
    example: Example, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    """All tasks of a worker whose key is refused would fail by an error that says nothing."""
    monkeypatch.delenv("REDIS_URL", raising=False)  # Celery needs a newer redis-py than callguard
    celery_app = example("celery_app")
    with served() as provider:
        monkeypatch.setenv("REDIS_URL", redis_url)
        monkeypatch.setenv("RETELL_API_KEY", "key_of_somebody_else")
        monkeypatch.setenv("RETELL_BASE_URL", provider.url)
        for _ in range(2):
            done = celery_app.dial.apply(["+12135550001"])
            assert isinstance(done.result, callguard.LimitsRejected)
        celery_app.close_gate()
