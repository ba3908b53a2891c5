"""What an operator sees of a gate."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from callguard import Gate, Lane, LimitsUnavailable, Trunk, open_gate
from callguard.limits import SURCHARGE
from callguard.serve.journal import Journal
from callguard.serve.overview import overview
from callguard.serve.views import Overview
from callguard.testing import ScriptedSource, VirtualWorkspace
from tests.support.virtual_time import jumping
from tests.unit.gate.support import Crowd, Refusal, opened

BULK = Lane("bulk", priority=5, reserve=3, default=True)
URGENT = Lane("urgent", priority=1, burst="all")
TRUNKS = Trunk("twilio", cps=2.0), Trunk("sip", cps=None, calls=5)


async def place(gate: Gate, lane: str, trunk: str | None = None) -> str:
    async with gate.admit(lane, trunk=trunk) as permit:
        permit.placed(f"call_{permit.number}")
        return permit.id


@jumping
async def test_all_of_a_busy_gate_is_seen() -> None:
    """An operator would look for a figure in vain, or see another than the gate goes by."""
    source = ScriptedSource()
    source.answer(10, 3, burst_limit=30, reserved_inbound=1)
    journal = Journal()
    async with opened(source, BULK, URGENT, trunks=TRUNKS, listener=journal) as gate:
        first = [await place(gate, "bulk"), await place(gate, "bulk", "sip")]
        await asyncio.sleep(5.0)
        crowd = Crowd(gate)
        crowd.send("a", "b", "c", "d", lane="bulk", trunk=None)
        await asyncio.sleep(1.0)
        for _ in range(3):
            await place(gate, "urgent", "twilio")
        seen = overview(gate, journal)
        assert (seen.gate, seen.workspace, seen.draining) == (gate.id, "a workspace", False)
        assert (seen.limits, seen.usage) == (source.limits, gate.statistics().usage)
        assert [each.name for each in seen.lanes] == ["urgent", "bulk"]
        urgent, bulk = seen.lanes
        assert (bulk.sentence, bulk.admits) == (str(gate.explain("bulk")), False)
        assert (bulk.ceiling, urgent.ceiling) == (6, 29)
        assert (bulk.waiting, bulk.dials_per_minute, urgent.dials_per_minute) == (1, 5.0, 3.0)
        assert urgent.wait_p90 == pytest.approx(0.525, rel=0.02)
        twilio, sip = (each for each in seen.trunks if each.name != "default")
        assert (twilio.cps, twilio.starts_in_last_minute, twilio.most) == (2.0, 3, None)
        assert twilio.due_in == pytest.approx(0.525)
        assert (sip.calls, sip.most, sip.due_in) == (1, 5, None)
        states = {each.id: each.state for each in seen.holders}
        assert {states[each] for each in first} == {"counted"}
        assert sorted(states.values()) == ["counted"] * 2 + ["dialling"] * 3 + ["uncounted"] * 3
        assert [each.kind for each in seen.events[:3]] == ["Placed"] * 3
        json.dumps(seen.as_json())
        await crowd.disperse()


@jumping
async def test_the_chart_goes_on_while_nobody_looks() -> None:
    """The page would show nothing of the ten minutes before somebody opened it."""
    journal = Journal(wall=asyncio.get_running_loop().time)
    async with opened(ScriptedSource(2, 2), listener=journal) as gate:
        journal.opened(gate)
        crowd = Crowd(gate)
        crowd.send("a")
        await asyncio.sleep(30.0)
        seen = overview(gate, journal)
        assert 28 <= len(seen.chart) <= 31
        assert (seen.chart[0].reported, seen.chart[0].limit, seen.chart[0].burst) == (2, 2, None)
        assert seen.chart[0].at < seen.chart[-1].at <= seen.at
        await crowd.disperse()


@jumping
async def test_an_outage_is_seen_and_what_is_unknown_is_no_number() -> None:
    """An operator would take a count from before the outage for the present one."""
    source, journal = ScriptedSource(1, 1), Journal()
    async with opened(source, listener=journal) as gate:
        source.error = LimitsUnavailable("HTTP 503")
        crowd = Crowd(gate)
        crowd.send("a")
        await asyncio.sleep(20.0)
        seen = overview(gate, journal)
        assert seen.outage is not None
        assert "HTTP 503" in seen.outage
        assert "older than 15 s" in seen.lanes[0].sentence
        assert (seen.chart[-1].reported, seen.chart[-1].limit) == (None, 1)
        assert seen.snapshot_age == 20.0
        assert seen.events[0].kind == "OutageBegan"
        await crowd.disperse()


@jumping
async def test_a_gate_without_a_snapshot_is_seen() -> None:
    """The page would fail when it is needed most, or show a count of 0."""
    source, journal = ScriptedSource(), Journal()
    source.error = LimitsUnavailable("HTTP 503")
    async with opened(source, listener=journal) as gate:
        seen = overview(gate, journal)
        assert (seen.limits, seen.usage.reported, seen.snapshot_age) == (None, None, None)
        assert (seen.lanes[0].ceiling, seen.burst.enabled) == (None, None)
        assert seen.chart[-1].reported is None


@jumping
async def test_pauses_and_draining_are_seen() -> None:
    """An operator would not see why nobody is admitted."""
    journal = Journal()
    async with opened(ScriptedSource(), BULK, URGENT, trunks=TRUNKS, listener=journal) as gate:
        gate.pause("bulk", reason="lunch")
        gate.pause("urgent", "sip")
        gate.pause(trunk="twilio")
        seen = overview(gate, journal)
        assert {each.name: each.paused for each in seen.lanes} == {"bulk": True, "urgent": False}
        assert {each.name for each in seen.trunks if each.paused} == {"twilio"}
        assert len(seen.pauses) == 3
        gate.pause()
        seen = overview(gate, journal)
        assert all(each.paused for each in seen.lanes)
        assert all(each.paused for each in seen.trunks)
        await gate.drain()
        seen = overview(gate, journal)
        assert seen.draining
        assert (seen.lanes[0].admits, seen.limits) == (False, journal.limits)
        assert "draining" in seen.lanes[0].sentence
    assert not overview(gate, journal).draining


@jumping
async def test_what_a_refusal_ends_and_which_premises_break_are_seen() -> None:
    """An operator would not see what is to be set."""
    journal = Journal()
    async with opened(ScriptedSource(), BULK, listener=journal, inbound_apart=True) as gate:
        with pytest.raises(Refusal):
            async with gate.admit("bulk", trunk=None):
                raise Refusal
        seen = overview(gate, journal)
        assert (seen.lanes[-1].refused, seen.given_up) == (1, ("reserved_inbound",))
        assert {each.kind for each in seen.events} == {"Refused", "GivenUp"}
        assert not seen.holders


def test_what_burst_costs_is_never_said_to_be_less() -> None:
    """An operator would stop a campaign too late, when the budget is spent."""
    with VirtualWorkspace(limit=3, burst_limit=12, cps=None, seed=4) as workspace:
        seen = workspace.run(_bursting(workspace))
        cost = workspace.truth().surcharge_seconds / 60 * SURCHARGE
    assert (seen.burst.enabled, seen.burst.calls_now, seen.usage.total) == (True, 0, 0)
    assert 0.1 < cost <= (seen.burst.dollars_today or 0.0) < 2 * cost


async def _bursting(workspace: VirtualWorkspace) -> Overview:
    """Place forty calls, as burst where the limit is reached, and wait until all are over."""
    journal = Journal(wall=lambda: 1e9)
    lane, key = Lane("bulk", burst="all", default=True), {"Authorization": "Bearer key_simulated"}
    async with (
        open_gate(
            workspace.api_key, base_url=workspace.url, lanes=[lane], cps=None, listener=journal
        ) as gate,
        aiohttp.ClientSession(workspace.url, headers=key) as session,
    ):
        for number in range(40):
            async with gate.admit() as permit:
                to = {"from_number": "+14155550100", "to_number": f"+1213555{number:04}"}
                async with session.post("/v2/create-phone-call", json=to) as answer:
                    permit.placed((await answer.json())["call_id"])
        while workspace.truth().count:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(1.0)
        await asyncio.sleep(5.0)
        async with gate.try_admit() as permit:  # a last snapshot, which shows that all are over
            permit.cancel()
        return overview(gate, journal)
