"""The probe's experiment at the limit, in simulated workspaces over real sockets.

Both ends are in the test, and the clock jumps.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from callguard.errors import LimitsRejected
from callguard.fetcher import ProviderClient
from callguard.limits import Limits
from callguard.probe.at_the_limit import at_the_limit, price
from callguard.probe.calls import PhoneCall
from callguard.probe.findings import AT_ONCE, AtTheLimit
from callguard.probe.plan import LimitPlan, Plan
from callguard.simulator import (
    Call,
    CallRefused,
    Constant,
    Faults,
    Server,
    Uniform,
    WorkspaceSettings,
    serve,
)
from tests.support.fake_network import Reply
from tests.support.virtual_time import jumping, run
from tests.unit.probe.workspace_session import WorkspaceSession

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
    "too fast": ({"cps": 0.5}, "fewer calls per second than --cps says"),
    "busy": ({"talk_time": Constant(4.0)}, "ended by itself (user_hangup)"),
    "nobody answers": (
        {"answer_rate": 0.0, "counts_ringing": False},
        "ended by itself (dial_no_answer)",
    ),
    "others": ({"inbound_rate": 0.2}, "others "),
    "a counter that falls too soon": (
        {"fall_lag": 0.8, "latency": Constant(0.3)},
        "the counter fell late, but before",
    ),
    "no room beside others": (
        {"limit": 3, "inbound_rate": 100.0, "inbound_talk_time": Constant(600.0)},
        "leaves too little room",
    ),
    "dials die": ({"cps": 0.5, "cps_refusal": "dead-call"}, "concurrency_limit_reached"),
}


@pytest.mark.parametrize("name", UNCLEAR)
@jumping
async def test_doubt_is_admitted(name: str) -> None:
    """If this fails, the probe guesses, or leaves a call going on where it can't tell."""
    knobs, reason = UNCLEAR[name]
    async with serve(**{**WORKSPACE, **knobs}) as server:
        await asyncio.sleep(3.0)
        result = await found(server)
        assert nothing_goes_on(server)
    assert result.refused_by is None
    assert reason in result.refused_by_reason
    assert not result.is_clear


@jumping
async def test_a_counter_that_falls_at_once_is_recognised_here_too() -> None:
    """If this fails, calls are spent on a question whose answer makes no difference."""
    async with serve(**{**WORKSPACE, "fall_lag": 0.1}) as server:
        result = await found(server)
        assert nothing_goes_on(server)
    assert result.falls_at_once
    assert result.is_clear
    assert "falls at once" in result.needless[-1]


@jumping
async def test_limits_that_change_meanwhile_leave_it_open() -> None:
    """If this fails, a refusal by another limit is taken for one by the old limit."""
    async with serve(**WORKSPACE) as server:
        finding = asyncio.create_task(found(server))
        await asyncio.sleep(8.0)
        server.workspace.set_limits(limit=5)
        result = await finding
        assert nothing_goes_on(server)
    assert result.refused_by_reason == "the limits were changed meanwhile"


@jumping
async def test_no_more_calls_are_dialled_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a workspace that refuses nothing makes the probe place calls without end."""
    async with serve(**{**WORKSPACE, "limit": 100}) as server:
        published = server.workspace.concurrency
        said = {"concurrency_limit": 6}
        monkeypatch.setattr(server.workspace, "concurrency", lambda: published() | said)
        result = await found(server)
        assert server.workspace.truth().placed == 7
        assert nothing_goes_on(server)
    assert result.refused_by_reason == "a call was accepted while 6 were going on, at the limit"


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
    [told] = [line for line in lines if "may still go on" in line]
    assert told.count("call call_") >= 3


@jumping
async def test_a_key_that_is_refused_meanwhile_ends_it_and_every_call() -> None:
    """If this fails, a revoked key looks like a finding, or leaves calls going on."""
    answers = {"/get-concurrency": [None] * 20 + [Reply(401)] * 99}
    session = WorkspaceSession(
        WorkspaceSettings(limit=6, answer_rate=1.0, talk_time=Constant(600.0)), answers=answers
    )
    client = ProviderClient("key_of_this_test", session=session)
    result = await at_the_limit(client, Plan(), PLAN, falls_at_once=False, say=lambda line: None)
    assert "HTTP 401" in result.refused_by_reason
    assert len(session.dials) == 6
    assert sorted(session.stopped) == sorted(call.call_id for call in session.workspace.calls())


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


def rough(draw: Random) -> dict[str, Any]:
    """A workspace of any kind, with calls by others, slow answers and failed readings."""
    limit = draw.choice([2, 3, 4, 6, 8])
    return {
        "limit": limit,
        "reserved_inbound": min(draw.choice([0, 0, 1, 2]), limit - 1),
        "inbound_apart": draw.random() < 0.5,
        "refuses_by_reported": draw.random() < 0.5,
        "counts_ringing": draw.random() < 0.5,
        "rise_lag": draw.choice([0.0, 0.3, 1.0, 2.0, 4.0]),
        "fall_lag": draw.choice([0.1, 0.5, 1.0, 1.5, 2.0, 4.0]),
        "answer_rate": draw.choice([1.0, 0.9]),
        "ring_time": Uniform(0.5, draw.choice([3.0, 10.0])),
        "talk_time": draw.choice([Constant(600.0), Uniform(20.0, 200.0)]),
        "inbound_rate": draw.choice([0.0, 0.0, 0.005, 0.02, 0.05]),
        "inbound_talk_time": draw.choice([Constant(600.0), Uniform(5.0, 60.0)]),
        "latency": draw.choice([Constant(0.02), Uniform(0.02, 0.3), Uniform(0.1, 1.0)]),
        "cps": draw.choice([1.0, 1.0, None, 0.8]),
        "faults": Faults(rate=draw.choice([0.0, 0.1]), kinds=("500", "429"), seed=1),
        "requests_per_minute": draw.choice([None, None, 200]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 60, 15))
def test_what_is_found_in_rough_workspaces_is_never_wrong(first: int) -> None:
    """If this fails, calls by others, slow answers or faults make the probe claim what isn't so."""
    clear = 0
    for seed in range(first, first + 15):
        draw = Random(seed)
        world = rough(draw)

        async def main(
            draw: Random = draw, world: dict[str, Any] = world, seed: int = seed
        ) -> AtTheLimit:
            async with serve(seed=seed, epoch=0.0, **world) as server:
                await asyncio.sleep(draw.uniform(0.0, 60.0))
                server.workspace.call_in(draw.choice([600.0, 30.0]))
                await asyncio.sleep(draw.uniform(0.0, 6.0))
                lines: list[str] = []
                result = await found(server, lines=lines)
                assert nothing_goes_on(server) or any("could not stop" in line for line in lines)
                return result

        result = run(main())
        by = "counter" if world["refuses_by_reported"] else "calls"
        rule = "outbound" if world["inbound_apart"] else "total"
        assert result.refused_by in {None, by}, (seed, result)
        assert result.reserved_inbound in {None, rule}, (seed, result)
        assert world["fall_lag"] <= AT_ONCE or not result.falls_at_once, (seed, result)
        assert result.dials <= world["limit"] - world["reserved_inbound"] + 4
        clear += bool(result.refused_by) + bool(result.reserved_inbound) + result.falls_at_once
    assert clear
