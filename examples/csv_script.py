"""Dial the leads of a CSV file in threads: ``python csv_script.py leads.csv``, or run it by pytest.

The file has a column ``number``. Ctrl-C closes the gate, and leaves no lead half dialled: threads
that wait get a `callguard.GateClosed`, and dials that have begun end.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from retell import Retell
from retell.types import PhoneCallResponse

import callguard.sync
from callguard.simulator import Constant, Truth, WorkspaceSettings, serve

WORLD = WorkspaceSettings(
    limit=4, cps=None, ring_limit=0.2, talk_time=Constant(0.2), rise_lag=0.05, fall_lag=0.05
)


def dial_all(path: Path, **settings: Any) -> list[str]:
    """What your script does, for the workspace whose key is RETELL_API_KEY."""
    with path.open(newline="") as file:
        numbers = [row["number"] for row in csv.DictReader(file)]
    retell = Retell()
    with ThreadPoolExecutor(16) as threads, callguard.sync.open_gate(**settings) as gate:

        def lead(number: str) -> PhoneCallResponse:
            return gate.place(
                lambda permit: retell.call.create_phone_call(
                    from_number="+14157774444",
                    to_number=number,
                    idempotency_key=permit.id,
                    max_retries=0,
                ),
                idempotent=True,
            )

        return [call.call_id for call in threads.map(lead, numbers)]


async def campaign(path: Path) -> tuple[list[str], Truth]:
    """The same against a simulated workspace, whose calls are short."""
    async with serve(WORLD) as server:
        os.environ.update(RETELL_API_KEY=server.api_key, RETELL_BASE_URL=server.url)
        times = {"ring_limit": 0.2, "counter_lag": 0.2, "ttl": 0.1, "min_interval": 0.05}
        calls = await asyncio.to_thread(dial_all, path, cps=None, **times)
        return calls, server.workspace.truth()


def test_every_lead_is_called_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETELL_API_KEY", "RETELL_BASE_URL"):
        monkeypatch.setenv(name, "")
    leads = tmp_path / "leads.csv"
    leads.write_text("number\n" + "".join(f"+1213{number:07}\n" for number in range(10)))
    calls, truth = asyncio.run(campaign(leads))
    assert len(set(calls)) == truth.placed == 10
    assert truth.refusals == 0
    assert truth.peak <= 4


if __name__ == "__main__":
    print(*dial_all(Path(sys.argv[1])), sep="\n")
