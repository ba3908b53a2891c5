"""The probe's experiment at the limit, in simulated workspaces over real sockets.

Both ends are in the test, and the clock jumps.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from callguard.errors import LimitsRejected
from callguard.fetcher import ProviderClient
from callguard.limits import Limits
from callguard.probe.at_the_limit import at_the_limit, price
from callguard.probe.calls import PhoneCall
from callguard.probe.findings import AtTheLimit
from callguard.probe.plan import LimitPlan, Plan
from callguard.simulator import Call, CallRefused, Constant, Faults, Server, serve
from tests.support.virtual_time import jumping

PLAN = LimitPlan(PhoneCall("+14155550100", "+14155550101"), most_calls=20)

WORKSPACE: dict[str, Any] = {
    "limit": 6,
    "answer_rate": 1.0,
    "ring_time": Constant(3.0),
    "talk_time": Constant(600.0),
    "rise_lag": 1.0,
    "fall_lag": 1.5,
    "latency": Constant(0.05),
}


async def found(
    server: Server,
    plan: LimitPlan = PLAN,
    *,
    falls_at_once: bool = False,
    lines: list[str] | None = None,
) -> AtTheLimit:
    """What the experiment finds."""
    client = ProviderClient(server.api_key, base_url=server.url, timeout=30.0)
    say = (lines if lines is not None else []).append
    try:
        return await at_the_limit(client, Plan(), plan, falls_at_once=falls_at_once, say=say)
    finally:
        await client.aclose()


def outbound(server: Server) -> list[Call]:
    return server.workspace.calls("outbound")


def nothing_goes_on(server: Server) -> bool:
    """Whether every call that was placed is over."""
    return all(call.ended_at is not None for call in outbound(server))


@pytest.mark.parametrize("counts_ringing", [True, False])
@pytest.mark.parametrize("rise", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("by_reported", [True, False])
@jumping
async def test_what_dials_are_refused_by_is_found(
    by_reported: bool, rise: float, counts_ringing: bool
) -> None:
    """If this fails, `ends_free_at_once` is set where it costs refusals, or left out needlessly."""
    world = {**WORKSPACE, "counts_ringing": counts_ringing, "rise_lag": rise}
    async with serve(refuses_by_reported=by_reported, **world) as server:
        result = await found(server)
        truth = server.workspace.truth()
        assert nothing_goes_on(server)
    assert result.refused_by == ("counter" if by_reported else "calls"), result
    assert result.is_clear
    assert result.dials == truth.placed + truth.refusals <= price(Limits(0, 6))
    assert truth.rate_refusals == 0
    assert truth.most_dials_in_a_second == 1


@pytest.mark.parametrize("by_reported", [True, False])
@pytest.mark.parametrize("apart", [True, False])
@jumping
async def test_what_is_reserved_for_inbound_calls_is_found(apart: bool, by_reported: bool) -> None:
    """If this fails, the setting of `reserved_inbound` is a guess."""
    world = {**WORKSPACE, "reserved_inbound": 2, "refuses_by_reported": by_reported}
    async with serve(inbound_apart=apart, **world) as server:
        assert server.workspace.call_in(600.0)
        await asyncio.sleep(3.0)
        result = await found(server)
        truth = server.workspace.truth()
        assert nothing_goes_on(server)
    assert result.reserved_inbound == ("outbound" if apart else "total"), result
    assert result.refused_by == ("counter" if by_reported else "calls"), result
    assert result.dials == truth.placed + truth.refusals <= price(Limits(0, 6, 2))


@jumping
async def test_an_operator_is_asked_to_call_in() -> None:
    """If this fails, nobody learns that an inbound call is needed, or it isn't waited for."""
    async with serve(inbound_apart=True, reserved_inbound=2, **WORKSPACE) as server:
        lines: list[str] = []
        finding = asyncio.create_task(found(server, falls_at_once=True, lines=lines))
        await asyncio.sleep(20.0)
        assert not outbound(server)
        assert server.workspace.call_in(600.0)
        result = await finding
    assert "call a number of the workspace within 60 s, and stay on the line" in lines
    assert result.reserved_inbound == "outbound"
    assert result.refused_by is None
    assert "falls at once" in result.needless[0]
    assert result.is_clear


@jumping
async def test_without_an_inbound_call_only_the_other_question_is_answered() -> None:
    """If this fails, a rule is guessed that no call has shown."""
    async with serve(inbound_apart=True, reserved_inbound=2, **WORKSPACE) as server:
        result = await found(server)
    assert result.reserved_inbound is None
    assert result.reserved_inbound_reason == "no inbound call was going on"
    assert result.refused_by == "calls"
    assert not result.is_clear


@jumping
async def test_what_makes_no_difference_is_not_asked() -> None:
    """If this fails, calls are paid for that can't teach anything."""
    async with serve(**WORKSPACE) as server:
        result = await found(server, falls_at_once=True)
        assert not outbound(server)
    assert len(result.needless) == 2
    assert result.dials == 0
    assert result.is_clear


UNCLEAR: dict[str, tuple[dict[str, Any], str]] = {
    "burst": ({"burst_limit": 9}, "burst is on"),
    "too dear": ({"limit": 17}, "it takes up to 21 calls, and 20 are allowed"),
    "no room for two": ({"limit": 1}, "too little room"),
    "too fast": ({"cps": 0.5}, "fewer calls per second than --cps says"),
    "busy": ({"talk_time": Constant(4.0)}, "ended by itself (user_hangup)"),
    "nobody answers": (
        {"answer_rate": 0.0, "counts_ringing": False},
        "ended by itself (dial_no_answer)",
    ),
    "others": ({"inbound_rate": 0.2}, "others "),
    "a counter that falls at once": ({"fall_lag": 0.01}, "the counter had fallen before"),
    "dials die": ({"cps": 0.5, "cps_refusal": "dead-call"}, "concurrency_limit_reached"),
}


@pytest.mark.parametrize("name", UNCLEAR)
@jumping
async def test_doubt_is_admitted(name: str) -> None:
    """If this fails, the probe guesses, or leaves a call going on where it can't tell."""
    knobs, reason = UNCLEAR[name]
    async with serve(**{**WORKSPACE, **knobs}) as server:
        result = await found(server)
        assert nothing_goes_on(server)
    assert result.refused_by is None
    assert reason in result.refused_by_reason
    assert not result.is_clear


@jumping
async def test_no_more_calls_are_dialled_than_allowed() -> None:
    """If this fails, a limit that is raised meanwhile makes the probe place calls without end."""
    async with serve(**WORKSPACE) as server:
        finding = asyncio.create_task(found(server, replace(PLAN, most_calls=10)))
        await asyncio.sleep(8.0)
        server.workspace.set_limits(limit=100)
        result = await finding
        assert server.workspace.truth().placed <= 10
        assert nothing_goes_on(server)
    assert result.refused_by is None


@pytest.mark.parametrize("moment", [3.0, 6.05, 8.0, 13.0, 17.0, 19.0, 21.0, 25.0])
@jumping
async def test_ctrl_c_stops_every_call(moment: float) -> None:
    """If this fails, an interrupted probe leaves a workspace full of calls behind."""
    async with serve(**WORKSPACE) as server:
        finding = asyncio.create_task(found(server))
        await asyncio.sleep(moment)
        finding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finding
        assert nothing_goes_on(server)


@jumping
async def test_a_server_that_dies_ends_it_and_says_what_may_go_on() -> None:
    """If this fails, a lost provider makes the probe hang, or hides that calls may go on."""
    lines: list[str] = []
    async with serve(**WORKSPACE) as server:
        finding = asyncio.create_task(found(server, lines=lines))
        await asyncio.sleep(9.0)
        assert outbound(server)
    result = await finding
    assert result.refused_by is None
    assert result.refused_by_reason
    assert sum("may still go on" in line for line in lines) >= 3


@jumping
async def test_a_dial_of_unknown_outcome_ends_it() -> None:
    """If this fails, a call of unknown outcome is dialled again, or counted as refused."""
    faults = Faults(schedule=((8.0, 100.0, "500"),))
    async with serve(dial_faults=faults, **WORKSPACE) as server:
        result = await found(server)
        known = [call for call in outbound(server) if call.ended_at is not None]
        assert len(known) == len(outbound(server)) - 1
    assert "may have been placed, and is not tried again" in result.refused_by_reason


@pytest.mark.parametrize("by_reported", [True, False])
@jumping
async def test_calls_that_die_after_the_dial_are_refusals(
    by_reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, a refusal that comes as a dead call is taken for an accepted one."""
    async with serve(refuses_by_reported=by_reported, **WORKSPACE) as server:
        die_instead_of_a_429(server, monkeypatch)
        result = await found(server)
        assert nothing_goes_on(server)
    if by_reported:
        assert result.refused_by == "counter"
    else:
        assert result.refused_by is None
        assert "die some time after the dial" in result.refused_by_reason


def die_instead_of_a_429(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse a dial by a call that is over at once."""
    workspace = server.workspace
    dial, call = workspace.dial, workspace.call
    dead: dict[str, Call] = {}

    def dial_or_die(**fields: Any) -> Call:
        try:
            return dial(**fields)
        except CallRefused:
            died = replace(
                workspace.calls()[0],
                call_id=f"call_dead_{len(dead)}",
                status="error",
                ended_at=workspace.now,
                disconnection_reason="concurrency_limit_reached",
            )
            return dead.setdefault(died.call_id, died)

    monkeypatch.setattr(workspace, "dial", dial_or_die)
    monkeypatch.setattr(workspace, "call", lambda call_id: dead.get(call_id) or call(call_id))


@jumping
async def test_calls_that_cannot_be_listed_leave_one_question_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If this fails, a provider that lists no calls spoils the other question, or is guessed at."""

    async def refuse(client: ProviderClient) -> bool:
        raise LimitsRejected("list-calls answered HTTP 403", 403)

    monkeypatch.setattr("callguard.probe.at_the_limit.has_inbound", refuse)
    async with serve(reserved_inbound=2, **WORKSPACE) as server:
        result = await found(server)
    assert "is not known: list-calls answered HTTP 403" in result.reserved_inbound_reason
    assert result.refused_by == "calls"


@jumping
async def test_an_inbound_call_that_ends_too_early_proves_nothing() -> None:
    """If this fails, a refusal without an inbound call is taken for the rule of all calls."""
    async with serve(reserved_inbound=2, **{**WORKSPACE, "fall_lag": 60.0}) as server:
        assert server.workspace.call_in(12.0)
        await asyncio.sleep(3.0)
        result = await found(server, falls_at_once=True)
        assert nothing_goes_on(server)
    assert result.reserved_inbound is None
    assert "was over too early" in result.reserved_inbound_reason
