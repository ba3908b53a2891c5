"""The benchmarks, at sizes that show only that they work."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.benchmarks import campaign, faults, micro, peers, picture
from tests.benchmarks.dialers import DIALERS, ORACLE
from tests.virtual_time import run


def _job(dialer: str, *, counts_ringing: bool = True, burst: bool = False) -> campaign.Job:
    return campaign.Job(dialer, 60, 7, counts_ringing, burst)


@pytest.mark.parametrize("dialer", DIALERS)
def test_every_dialer_places_every_lead_and_the_same_seed_replays_it(dialer: str) -> None:
    """A row of the table would be missing, or would change from run to run."""
    came_of_it = campaign.carry_out(_job(dialer, counts_ringing=False, burst=True))
    assert came_of_it == campaign.carry_out(_job(dialer, counts_ringing=False, burst=True))
    assert came_of_it.calls_per_hour > 0


@pytest.mark.parametrize("counts_ringing", [True, False])
@pytest.mark.parametrize("dialer", [name for name in DIALERS if name.startswith("callguard")])
def test_the_gate_keeps_its_promise(dialer: str, counts_ringing: bool) -> None:
    """The picture would show a gate that overshoots."""
    came_of_it = campaign.carry_out(_job(dialer, counts_ringing=counts_ringing))
    assert came_of_it.refused == 0
    assert came_of_it.over_ceiling <= 0
    assert came_of_it.seconds_over == 0.0


def test_the_oracle_uses_every_place_and_no_more() -> None:
    """All shares would be shares of something else."""
    came_of_it = campaign.carry_out(_job(ORACLE))
    assert came_of_it.over_ceiling == 0
    assert came_of_it.refused == 0


def test_readings_are_counted_in_the_fullest_second() -> None:
    """The table would hide how often the provider is asked."""
    assert campaign._most_within_a_second([]) == 0
    assert campaign._most_within_a_second([0.0, 1.0, 2.0]) == 1
    assert campaign._most_within_a_second([0.0, 0.9, 1.1, 1.8, 3.0]) == 3


def _content() -> dict[str, object]:
    figures = {"calls_per_hour": 1200.0, "refused": 3, "over_ceiling": 0, "surcharge": 1.5}
    dialers = dict.fromkeys(DIALERS, figures)
    workspaces = [
        {"counts_ringing": counted, "burst": burst, "dialers": dialers}
        for counted in (True, False)
        for burst in (True, False)
    ]
    return {"leads": 60, "seed": 7, "workspaces": workspaces}


def test_the_picture_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    """Each run would change the picture in the repository."""
    drawn = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in drawn:
        picture.draw(_content(), path)
    one, two = (path.read_bytes() for path in drawn)
    assert one == two
    assert len(one) <= 60_000


def test_the_figures_are_written(tmp_path: Path) -> None:
    """The tables would be all that is left of a run."""
    written = tmp_path / "figures.json"
    campaign.main(["--leads", "60", "--only", "probed", "--json", str(written)])
    content = json.loads(written.read_text())
    assert len(content["workspaces"]) == 4
    assert ORACLE in content["workspaces"][0]["dialers"]


@pytest.mark.parametrize("part", ["room", "drained", "storm", "bytes", "faults"])
def test_each_part_of_the_micro_benchmark_has_the_gate_in_it(part: str, tmp_path: Path) -> None:
    """A figure of the gate's would be missing."""
    written = tmp_path / "figures.json"
    micro.main(["--small", "--only", part, "--json", str(written)])
    tables = json.loads(written.read_text())["tables"]
    assert all(peers.OURS in [row[""] for row in table["rows"]] for table in tables.values())


@pytest.mark.parametrize("name", faults.TRIALS)
def test_nothing_goes_wrong_with_the_gate(name: str) -> None:
    """The gate would leak a place, or let too many in."""
    assert faults.right(run(faults.trial(peers.PEERS[peers.OURS], name)))


class _Leaking:
    """A semaphore of which each cancelled caller takes a place away."""

    def __init__(self) -> None:
        self._semaphore = asyncio.Semaphore(faults.LIMIT)

    async def pass_through(self, times: int) -> None:
        raise NotImplementedError

    async def visit(self, body: peers.Body) -> None:
        await self._semaphore.acquire()
        await body()
        self._semaphore.release()

    async def set_limit(self, limit: int) -> None:
        raise NotImplementedError


def test_a_leak_is_seen() -> None:
    """A trial would find nothing because it looks at nothing."""

    async def outcome() -> str:
        return await faults.cancelled_inside(_Leaking())

    assert run(outcome()) == f"0 of {faults.LIMIT} in"
