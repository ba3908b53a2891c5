"""The examples of the page on permits over HTTP are run as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.unit.serve.support import Client, asking

PAGE = (Path(__file__).parents[2] / "docs" / "serve-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)

CAMPAIGN = """
(async () => {
  const dial = async (id) => `call_${id}`;
  const keys = ["lead-1", "lead-2", "lead-3", "lead-1"];
  const done = await Promise.allSettled(keys.map((key) => throughTheGate(dial, { key })));
  console.log(JSON.stringify(done.map((each) => each.status)));
})();
"""


async def _run(client: Client, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"CALLGUARD_URL": client.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def test_every_example_is_one_that_is_run() -> None:
    """An example would be in a language that no test runs."""
    assert [language for language, _ in BLOCKS] == ["sh", "js"]


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
async def test_the_example_in_the_shell_places_a_call() -> None:
    """What a newcomer copies from the page would not work."""
    async with asking(limit=1) as client:
        await _run(client, "sh", "-ec", BLOCKS[0][1])
        assert client.workspace.gate.statistics().admitted == 1
        assert client.workspace.gate.statistics().usage.total == 0
        assert not client.workspace.permits.open


@pytest.mark.outside
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
async def test_the_example_in_javascript_dials_each_lead_once_at_a_time() -> None:
    """What a newcomer copies from the page would not work."""
    async with asking(limit=20) as client:
        shown = await _run(client, "node", "-e", BLOCKS[1][1] + CAMPAIGN)
        assert '"fulfilled"' in shown
        assert client.workspace.gate.statistics().admitted == 3
