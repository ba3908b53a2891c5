"""A real Prometheus scrapes a real gate, and its rules and dashboard are asked there."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, start_http_server

import callguard
from callguard.metrics import prometheus
from callguard.simulator import serve

DOCS = Path(__file__).parents[2] / "docs"

PATIENCE = 60.0
"""Seconds for what takes a few on a machine with nothing else to do."""

ADMITTED = "callguard_admissions_total == 3"

RINGS = 'ALERTS{alertname="CallguardRefusals", alertstate="firing"}'

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: dialer
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@asynccontextmanager
async def server_of_prometheus(folder: Path, port: int) -> AsyncIterator[str]:
    """The address of a Prometheus that scrapes the port, with the rules of the documentation."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs prometheus, of Debian's package prometheus")
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(rules=DOCS / "alerts.yml", port=port))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        said = ""
        while (found := re.search(r'msg="Listening on" address=(\S+)', said)) is None:
            line = await process.stderr.readline()
            assert line, f"it ended: {said}"
            said += line.decode()
        draining = asyncio.create_task(process.stderr.read())
        yield f"http://{found[1]}"
    finally:
        process.kill()
        await process.wait()
        if draining is not None:
            await draining


async def _asked(session: aiohttp.ClientSession, path: str, **query: str) -> Any:
    async with session.get(path, params=query) as answer:
        told = await answer.json()
        assert told["status"] == "success", (query, told)
        return told["data"]


async def _found(session: aiohttp.ClientSession, query: str) -> Any:
    """The one series that a query finds, once it finds any."""
    found: list[Any] = []
    while not found:
        await asyncio.sleep(0.2)
        found = (await _asked(session, "/api/v1/query", query=query))["result"]
    (series,) = found
    return series


@pytest.mark.outside
async def test_a_real_prometheus_scrapes_a_gate(tmp_path: Path) -> None:
    """Metrics and dashboard would be right by our own tests alone, and a first refusal unheard."""
    registry = CollectorRegistry()
    endpoint, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        async with (
            asyncio.timeout(PATIENCE),
            serve(limit=20) as workspace,
            callguard.open_gate(
                workspace.api_key,
                base_url=workspace.url,
                cps=None,
                listener=prometheus(registry),
                allow_plain_http=True,
            ) as gate,
            server_of_prometheus(tmp_path, endpoint.server_port) as url,
            aiohttp.ClientSession(url) as session,
        ):
            for _ in range(3):
                async with gate.admit():
                    pass
            series = await _found(session, ADMITTED)
            assert series["metric"]["workspace"] == gate.workspace
            async with gate.admit() as permit:
                permit.refused()
            await _found(session, RINGS)
            await _every_panel_can_be_asked(session, gate.workspace)
            told = await _asked(session, "/api/v1/rules")
            rules = [rule for group in told["groups"] for rule in group["rules"]]
            assert len(rules) == 7
    finally:
        endpoint.shutdown()
        endpoint.server_close()
        thread.join()


async def _every_panel_can_be_asked(session: aiohttp.ClientSession, workspace: str) -> None:
    for panel in json.loads((DOCS / "grafana.json").read_text("utf-8"))["panels"]:
        for target in panel["targets"]:
            asked = target["expr"].replace("$workspace", workspace)
            asked = asked.replace("$__rate_interval", "1m")
            await _asked(session, "/api/v1/query", query=asked)
