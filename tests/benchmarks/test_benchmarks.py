"""The benchmarks, at sizes that show only that they work."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from callguard.simulator import CPS_REFUSALS, CallRefused, CpsRefusal, RequestLimit
from callguard.testing import RedisServer
from tests.benchmarks import (
    campaign,
    faults,
    fullness,
    metrics_cost,
    micro,
    outage,
    peers,
    picture,
    trunks,
)
from tests.benchmarks.dialers import (
    DIAL,
    DIALERS,
    LIST,
    LOOP,
    ORACLE,
    ORACLES,
    OURS,
    QUESTION,
    READING,
    SEMAPHORE,
    SHARED_DIALERS,
    UNTOLD,
    World,
)
from tests.benchmarks.workspaces import (
    DEFAULT_RATE,
    EVERY_WORKSPACE,
    FURTHER,
    WORKSPACES,
    Rate,
    plan_in,
)
from tests.support.virtual_time import run

COUNTED, NOT_COUNTED, INBOUND = WORKSPACES

APART, LATE, _, FEW_REQUESTS = FURTHER

GATED = [name for name in DIALERS if name.startswith(OURS) and name != UNTOLD]

OTHERS = [name for name in DIALERS if name not in ORACLES and not name.startswith(OURS)]

EVENLY = Rate(5.0, "spacing", jitter=0.004)
"""The gate's slack is 0.01 s at this rate: dials whose times differ by more are refused."""

LOSE_LEADS = [name for name in OTHERS if name.startswith((LOOP, SEMAPHORE, "the same loop in"))]

ONE_A_SECOND = [name for name in [*DIALERS, *SHARED_DIALERS] if "one reading a second" in name]


def _job(
    dialer: str,
    workspace: str = COUNTED,
    *,
    leads: int = 60,
    burst: bool = False,
    ledger: str = "",
    rate: Rate = DEFAULT_RATE,
) -> campaign.Job:
    return campaign.Job(dialer, leads, 7, workspace, burst, ledger, rate)


@pytest.mark.slow
@pytest.mark.parametrize("dialer", DIALERS)
def test_every_dialer_places_every_lead_and_the_same_seed_replays_it(dialer: str) -> None:
    """A row of the table would be missing, or would change from run to run."""
    came_of_it = campaign.carry_out(_job(dialer, NOT_COUNTED, burst=True))
    assert came_of_it == campaign.carry_out(_job(dialer, NOT_COUNTED, burst=True))
    assert came_of_it.calls_per_hour > 0


@pytest.mark.parametrize("workspace", EVERY_WORKSPACE)
@pytest.mark.parametrize("dialer", GATED)
def test_the_gate_keeps_its_promise(dialer: str, workspace: str) -> None:
    """The picture would show a gate that overshoots."""
    came_of_it = campaign.carry_out(_job(dialer, workspace))
    _assert_kept(came_of_it, _refusals(dialer, workspace))


def test_the_ideal_is_bound_by_the_same_rule_as_the_others() -> None:
    """A share would be of what nobody may dial, or of less than everybody may."""
    fast = Rate(cps=None)
    together, apart = (
        campaign.carry_out(_job(ORACLE, workspace, leads=200, rate=fast))
        for workspace in (INBOUND, APART)
    )
    assert together.refused == apart.refused == 0
    assert apart.calls_per_hour > 1.05 * together.calls_per_hour
    assert apart.over_ceiling == 0


def test_who_redials_at_each_end_is_refused_by_a_late_counter() -> None:
    """A gate that is as quick would be shown where nothing can go wrong with it."""
    fast = Rate(cps=None)
    in_time, late = (
        campaign.carry_out(_job(SEMAPHORE, workspace, rate=fast)) for workspace in (COUNTED, LATE)
    )
    assert in_time.refused == 0
    assert late.refused > 0


def test_requests_that_are_too_many_are_refused_and_counted() -> None:
    """What asking costs a workspace with few requests could not be told from the table."""
    kind = EVERY_WORKSPACE[FEW_REQUESTS]
    plan = plan_in(replace(kind, requests_per_minute=3), leads=1, seed=1, burst=False)

    async def main() -> tuple[list[int], RequestLimit]:
        world = World(plan)
        replies = [await world.answer("GET", "/get-concurrency", {}) for _ in range(2)]
        replies.append(await world.answer("GET", "/v2/get-call/call_1", {}))
        replies.append(await world.list_calls("/v3/list-calls", {}, b"{}"))
        with pytest.raises(CallRefused, match="too many requests"):
            await world.dial()
        return [reply.status for reply in replies], world.requests

    statuses, requests = run(main())
    assert statuses == [200, 200, 422, 429]
    assert requests.answered == {READING: 2, QUESTION: 1}
    assert requests.refused == {LIST: 1, DIAL: 1}


def test_each_row_of_the_table_of_shares_has_its_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A row would be missing, or be compared with another workspace's ideal."""
    fullness.main(["--leads", "40", "--seeds", "1", "--only", "apart"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + sum("apart" in name for name in fullness.ROWS)
    names = set(campaign.EVERY_DIALER)
    assert {row.dialer for row in fullness.ROWS.values()} <= names


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("dialer", SHARED_DIALERS)
def test_several_workers_keep_the_promise_together(
    dialer: str, workspace: str, redis_url: str
) -> None:
    """Four gates would each admit what fits once."""
    came_of_it = campaign.carry_out(_job(dialer, workspace, leads=30, ledger=redis_url))
    _assert_kept(came_of_it, _refusals(dialer, workspace))


def _refusals(dialer: str, workspace: str) -> int:
    """How many dials may be refused: one, if the gate was told a rule that doesn't hold here."""
    is_wrong = "outbound rule" in dialer and workspace == INBOUND
    return int(is_wrong or ("ends free" in dialer and workspace == LATE))


def _assert_kept(came_of_it: campaign.Figures, refusals: int = 0) -> None:
    assert came_of_it.refused <= refusals
    assert came_of_it.over_ceiling <= 0
    assert came_of_it.seconds_over == 0.0


def test_several_workers_replay_a_seed_and_leave_no_ledger(own_redis: RedisServer) -> None:
    """Their rows would change from run to run, or with what else is on the server."""
    (dialer,) = (name for name in SHARED_DIALERS if "probed and webhooks, 4" in name)
    job = _job(dialer, NOT_COUNTED, leads=40, ledger=own_redis.url)
    assert campaign.carry_out(job) == campaign.carry_out(job)
    with Redis.from_url(own_redis.url) as client:
        assert client.dbsize() == 0


@pytest.mark.slow
@pytest.mark.parametrize("dialer", ONE_A_SECOND)
def test_one_reading_a_second_is_one_of_all_workers_together(dialer: str, redis_url: str) -> None:
    """The provider would be asked more often than the row's name says."""
    job = _job(dialer, NOT_COUNTED, leads=40, ledger=redis_url)
    assert campaign.carry_out(job).most_readings == 1


def test_callers_from_outside_are_refused_to_a_semaphore_and_not_to_the_gate() -> None:
    """The third workspace would show nothing, since nobody else calls there."""
    semaphore = campaign.carry_out(_job(SEMAPHORE, INBOUND, leads=200))
    gate = campaign.carry_out(_job("callguard, probed and webhooks", INBOUND, leads=200))
    assert semaphore.refused - semaphore.too_fast > 100
    assert gate.refused == 0


def test_the_oracle_uses_every_slot_and_no_more() -> None:
    """All shares would be shares of something else."""
    came_of_it = campaign.carry_out(_job(ORACLE))
    assert came_of_it.over_ceiling == 0
    assert came_of_it.refused == 0


@pytest.mark.parametrize(
    ("rate", "most"),
    [
        (Rate(1.0), 1),
        (Rate(5.0), 5),
        (Rate(5.0, "spacing"), 5),
        (Rate(0.01), 1),
        (Rate(1.0, refusal="dead-call"), 1),
    ],
)
def test_the_oracle_keeps_the_rate_and_uses_it_up(rate: Rate, most: int) -> None:
    """The others would be measured beside what nobody may do, or beside less than could be done."""
    came_of_it = campaign.carry_out(_job(ORACLE, leads=30, rate=rate))
    assert (came_of_it.refused, came_of_it.lost, came_of_it.most_dials) == (0, 0, most)
    assert rate.cps is not None
    assert came_of_it.calls_per_hour <= 30 / (29 / rate.cps - 1) * 3600


@pytest.mark.parametrize("refusal", CPS_REFUSALS)
@pytest.mark.parametrize("dialer", [*OTHERS, UNTOLD])
def test_every_dialer_comes_to_its_end_under_a_rate(dialer: str, refusal: CpsRefusal) -> None:
    """A dialer that crashes, or dials for ever, would have no row where calls have a rate."""
    came_of_it = campaign.carry_out(_job(dialer, leads=30, rate=Rate(1.0, refusal=refusal)))
    assert came_of_it.too_fast > 0
    assert came_of_it.most_dials > 1
    is_fooled = refusal == "dead-call" and not dialer.startswith(OURS)
    assert (came_of_it.lost > 0) == (dialer in LOSE_LEADS or is_fooled)


@pytest.mark.parametrize(
    "rate",
    [Rate(1.0), Rate(1.0, refusal="dead-call"), Rate(5.0), EVENLY, Rate(0.5)],
)
@pytest.mark.parametrize("dialer", GATED)
def test_a_gate_that_is_told_the_rate_is_never_refused(dialer: str, rate: Rate) -> None:
    """A gate would dial faster than it was told, and be refused for it."""
    came_of_it = campaign.carry_out(_job(dialer, leads=30, rate=rate))
    _assert_kept(came_of_it)
    assert rate.cps is not None
    assert (came_of_it.lost, came_of_it.most_dials <= max(1, rate.cps)) == (0, True)


def test_whoever_loses_leads_has_no_speed() -> None:
    """A dialer would look faster than the oracle because it calls hardly anybody."""
    rate = Rate(1.0, refusal="dead-call")
    names = [ORACLE, OTHERS[0]]
    rows = {name: campaign.carry_out(_job(name, leads=30, rate=rate)) for name in names}
    *_, best, other = campaign.table(rows).splitlines()
    assert best.split("|")[2].strip()
    assert not other.split("|")[2].strip()


def test_readings_are_counted_in_the_fullest_second() -> None:
    """The table would hide how often the provider is asked."""
    assert campaign._most_within_a_second([]) == 0
    assert campaign._most_within_a_second([0.0, 1.0, 2.0]) == 1
    assert campaign._most_within_a_second([0.0, 0.9, 1.1, 1.8, 3.0]) == 3


def _content() -> dict[str, object]:
    figures = {
        "calls_per_hour": 1200.0,
        "lost": 2,
        "refused": 3,
        "over_ceiling": 0,
        "surcharge": 1.5,
    }
    with_burst = dict.fromkeys(DIALERS, figures)
    without_burst = dict.fromkeys([*DIALERS, *SHARED_DIALERS], figures)
    workspaces = [
        {"workspace": workspace, "burst": burst, "dialers": dialers}
        for workspace in WORKSPACES
        for burst, dialers in ((True, with_burst), (False, without_burst))
    ]
    rate = {"cps": 1.0, "rule": "window", "refusal": "429", "jitter": 0.02}
    return {"leads": 60, "seed": 7, "rate": rate, "workspaces": workspaces}


def test_the_picture_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    """Each run would change the picture in the repository."""
    drawn = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in drawn:
        picture.draw(_content(), path)
    one, two = (path.read_bytes() for path in drawn)
    assert one == two
    assert len(one) <= 60_000
    assert len(picture.ROWS) <= 7


@pytest.mark.slow
@pytest.mark.usefixtures("redis_program")
def test_the_figures_are_written(tmp_path: Path) -> None:
    """The tables would be all that is left of a run."""
    written = tmp_path / "figures.json"
    campaign.main(["--leads", "21", "--only", "probed, 4", "--json", str(written)])
    content = json.loads(written.read_text())
    assert len(content["workspaces"]) == 2 * len(WORKSPACES)
    assert list(content["workspaces"][0]["dialers"]) == [ORACLE, "callguard, probed, 4 workers"]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["room", "drained", "storm", "bytes", "faults"])
def test_each_part_of_the_micro_benchmark_has_the_gate_in_it(part: str, tmp_path: Path) -> None:
    """A figure of the gate's would be missing."""
    written = tmp_path / "figures.json"
    micro.main(["--small", "--only", part, "--json", str(written)])
    tables = json.loads(written.read_text())["tables"]
    assert all(peers.OURS in [row[""] for row in table["rows"]] for table in tables.values())


@pytest.mark.slow
async def test_what_a_rate_costs_is_measured_with_and_without_one(
    capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    """A figure would be missing, or have nothing beside it."""
    small = ["--rounds", "1", "--admissions", "20", "--few", "20", "--many", "40"]
    await trunks.main([*small, "--ledger", redis_url])
    said = capsys.readouterr().out
    assert said.count("###") == 1 + 2 * 4 + 1
    assert said.count(f"| {trunks.WITHOUT} |") == 1 + 2 * 4
    assert "40 callers, the first 20" in said


def test_metrics_are_measured_beside_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A sink would be missing from the tables, or would fail where it is measured."""
    asyncio.run(metrics_cost.main(["--rounds", "1", "--admissions", "20", "--lanes", "2"]))
    said = capsys.readouterr().out
    assert said.count("| both |") == 2
    assert "| opentelemetry, in another thread |" in said


def test_callers_who_wait_for_ten_trunks_are_measured_while_they_wait() -> None:
    """The cost of a queue would be that of callers who go at once."""
    assert run(trunks.waiting_for_ten(30, 20)) > 0.0
    with pytest.raises(ZeroDivisionError):
        run(trunks.waiting_for_ten(30, 10))


@pytest.mark.parametrize("name", faults.TRIALS)
def test_nothing_goes_wrong_with_the_gate(name: str) -> None:
    """The gate would leak a slot, or admit too many."""
    assert faults.right(run(faults.trial(peers.PEERS[peers.OURS], name)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", outage.OUTAGES)
async def test_an_outage_of_the_provider_is_measured(kind: str, redis_url: str) -> None:
    """The table of what an outage costs would have no figures, or none of an outage."""
    figures = await outage.outage(redis_url, 2, kind, seconds=0.2)
    assert figures.to_open > 0.0
    assert figures.most >= 1


class _Leaking:
    """A semaphore of which each cancelled caller takes a slot away."""

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
