"""Dial the leads of a CSV file in threads: ``python csv_script.py leads.csv calls.csv``, or pytest.

The first file has a column ``number``. The second gets a line for each lead that was dialled: its
number, and the call's id or the error. Who has a line there isn't dialled again, so the script can
be run again after Ctrl-C. That closes the gate, and leaves no lead half dialled: threads that wait
get a `callguard.GateClosed`, and dials that have begun end.
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
from retell import Retell, RetellError

import callguard.sync
from callguard.simulator import Constant, Truth, WorkspaceSettings, serve

WORLD = WorkspaceSettings(
    limit=4, cps=None, ring_limit=0.2, talk_time=Constant(0.2), rise_lag=0.05, fall_lag=0.05
)


def dial_all(leads: Path, calls: Path, **settings: Any) -> None:
    """What your script does, for the workspace whose key is RETELL_API_KEY."""
    with leads.open(newline="") as file:
        numbers = [row["number"] for row in csv.DictReader(file)]
    retell = Retell()
    with (
        calls.open("a+", newline="", buffering=1) as file,  # written line by line
        ThreadPoolExecutor(16) as threads,
        callguard.sync.open_gate(**settings) as gate,
    ):
        file.seek(0)
        done = {row[0] for row in csv.reader(file)}
        outcomes = csv.writer(file)

        def lead(number: str) -> None:
            try:
                outcome = gate.place(
                    lambda permit: retell.call.create_phone_call(
                        from_number="+14157774444",
                        to_number=number,
                        idempotency_key=permit.id,
                        max_retries=0,
                    ),
                    idempotent=True,
                ).call_id
            except RetellError as error:  # say, for a number that is none
                outcome = str(error)
            outcomes.writerow([number, outcome])

        list(threads.map(lead, [number for number in numbers if number not in done]))


async def campaign(leads: Path, calls: Path) -> Truth:
    """The same against a simulated workspace, whose calls are short."""
    async with serve(WORLD) as server:
        os.environ.update(RETELL_API_KEY=server.api_key, RETELL_BASE_URL=server.url)
        times = {"ring_limit": 0.2, "counter_lag": 0.2, "ttl": 0.1, "min_interval": 0.05}
        await asyncio.to_thread(dial_all, leads, calls, cps=None, **times)
        return server.workspace.truth()


def test_every_lead_is_called_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETELL_API_KEY", "RETELL_BASE_URL"):
        monkeypatch.setenv(name, "")
    leads, calls = tmp_path / "leads.csv", tmp_path / "calls.csv"
    leads.write_text("number\n" + "".join(f"+1213{number:07}\n" for number in range(10)))
    calls.write_text("+12130000000,call_1\n")
    truth = asyncio.run(campaign(leads, calls))
    assert truth.placed == 9
    assert len(set(calls.read_text().split())) == 10
    assert truth.refusals == 0
    assert truth.peak <= 4


if __name__ == "__main__":
    dial_all(Path(sys.argv[1]), Path(sys.argv[2]))
