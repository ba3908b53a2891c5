"""The probe's conclusions, from records by hand and from simulated workspaces."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest

from callguard.errors import LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.fetcher import ProviderClient
from callguard.probe.calls import MaybePlaced, NotPlaced, PhoneCall
from callguard.probe.conclusions import conclude
from callguard.probe.experiment import probe
from callguard.probe.findings import AT_ONCE, Findings
from callguard.probe.plan import Plan
from callguard.probe.record import Count, Record, Span, State
from callguard.simulator import Constant, Uniform, WorkspaceSettings
from tests.support.fake_network import Reply
from tests.support.virtual_time import run
from tests.unit.probe.workspace_session import WorkspaceSession

KEY = "key_of_this_test"
CALL = PhoneCall("+14155550100", "+14155550101")
LAG = 5.0


# Records by hand: a snapshot each second, the call placed between 9.9 and 10.0.


def counts(*calls: int, begin: float = 10.0) -> list[Count]:
    moments = [begin + second for second in range(len(calls))]
    return [Count(Span(at, at + 0.1), n) for at, n in zip(moments, calls, strict=True)]


def states(*statuses: str, reason: str | None = None, begin: float = 10.2) -> list[State]:
    moments = [begin + second for second in range(len(statuses))]
    return [State(Span(at, at + 0.1), s, reason) for at, s in zip(moments, statuses, strict=True)]


def concluded(
    calls: Sequence[int],
    *lengths: int,
    statuses: Sequence[str] = ("registered", "ongoing", "ended"),
    reason: str | None = None,
    baseline: Sequence[int] = (0,) * 5,
) -> Findings:
    """What follows where the counter reads `calls`, and each status is seen so often."""
    seen = [s for s, n in zip(statuses, lengths, strict=True) for _ in range(n)]
    record = Record(
        baseline=counts(*baseline, begin=4.9),
        placed=Span(9.9, 10.0),
        counts=counts(*calls),
        states=states(*seen, reason=reason),
    )
    return conclude(record, LAG)


UNANSWERED = ("registered", "not_connected")


def test_a_rise_while_the_call_rings_is_counted() -> None:
    """If this fails, the plainest evidence is not understood, or is dated wrongly."""
    findings = concluded([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], 5, 2, 3, reason="user_hangup")
    assert findings.counts_ringing is True
    assert findings.snapshots == 3
    assert findings.rise_lag is not None
    assert findings.fall_lag is not None
    # The last snapshot without it began at 11.0, the first with it came at 12.1.
    assert findings.rise_lag.at_least == pytest.approx(1.0)
    assert findings.rise_lag.at_most == pytest.approx(2.2)
    assert findings.rise_lag.snapshots == 6
    # It ended between 16.2 and 17.3, and the counter fell between 17.0 and 18.1.
    assert findings.fall_lag.at_least == 0.0
    assert findings.fall_lag.at_most == pytest.approx(1.9)
    assert findings.counter_lag == 4.4
    assert findings.settings == "callguard.open_gate(counts_ringing=True, counter_lag=4.4)"
    assert not findings.reason
    assert not findings.remark


def test_a_rise_only_after_long_ringing_is_not_counted() -> None:
    """If this fails, a workspace that leaves ringing calls out isn't recognised."""
    findings = concluded([0] * 9 + [1] * 4 + [0] * 3, 8, 4, 4, reason="user_hangup")
    assert findings.counts_ringing is False
    assert findings.snapshots == 8
    assert findings.rise_lag is not None
    # Answered between 17.2 and 18.3, shown between 18.0 and 19.1.
    assert findings.rise_lag.at_least == 0.0
    assert findings.rise_lag.at_most == pytest.approx(1.9)
    assert findings.settings == "callguard.open_gate(counts_ringing=False, counter_lag=3.8)"


def test_long_ringing_that_is_never_shown_is_not_counted() -> None:
    """If this fails, an unanswered call teaches nothing, or a lag is made up for it."""
    findings = concluded([0] * 12, 8, 4, statuses=UNANSWERED, reason="dial_no_answer")
    assert findings.counts_ringing is False
    assert findings.rise_lag is None
    assert findings.counter_lag is None
    assert findings.settings == "callguard.open_gate(counts_ringing=False)"
    assert findings.remark.startswith("nobody answered")


def test_a_small_lag_is_not_taken_at_its_word() -> None:
    """If this fails, one quick rise makes a gate rely on a counter that is never late."""
    findings = concluded([1, 1, 1, 1, 0, 0], 3, 1, 2)
    assert findings.rise_lag is not None
    assert findings.rise_lag.at_most < 0.5
    assert findings.counter_lag == 1.0


UNCLEAR: dict[str, tuple[Findings, str]] = {
    "others before": (
        concluded([1, 1, 0], 1, 1, 1, baseline=(0, 1, 1)),
        "others are calling: the counter was 0 to 1 before the call",
    ),
    "others on top": (concluded([1, 2, 1, 0], 2, 1, 1), "the counter went from 0 to 2"),
    "others leave": (
        concluded([3, 2, 3], 1, 1, 1, baseline=(3, 3)),
        "the counter went from 3 to 2",
    ),
    "two rises": (concluded([1, 0, 1, 0], 1, 1, 2), "rose more than once"),
    "fell too early": (concluded([1, 1, 0, 0, 0, 0], 4, 1, 1), "fell while the call went on"),
    "fell too late": (concluded([1] * 10 + [0] * 3, 2, 1, 10), "did not fall within 5 s"),
    "never fell": (concluded([1] * 12, 2, 1, 9), "did not fall within 5 s"),
    "answered at once": (concluded([0, 1, 1, 0], 1, 2, 1), "too close to the answer"),
    "rose with the answer": (concluded([0] * 4 + [1, 1, 0], 4, 2, 1), "too close to the answer"),
    "answer uncounted": (
        concluded([0, 1, 1, 0], 3, 1, statuses=("ongoing", "ended")),
        "too close to the answer",
    ),
    "rang too short": (
        concluded([0] * 9, 4, 5, statuses=UNANSWERED, reason="dial_no_answer"),
        "over before the counter had to show it",
    ),
    "never shown": (concluded([0] * 14, 1, 9, 4), "did not show the call within 5 s"),
    "rose while unanswered, late": (
        concluded([0] * 8 + [1, 1, 0], 10, 1, statuses=UNANSWERED),
        "fits neither",
    ),
    "unanswered beside others": (
        concluded([3, 3, 2], 2, 1, statuses=UNANSWERED, baseline=(2, 2)),
        "the rise may be theirs",
    ),
    "never rang": (
        concluded([0] * 12, 8, 4, statuses=UNANSWERED, reason="dial_failed"),
        "it ended with dial_failed",
    ),
    "failed": (
        concluded([0] * 9, 8, 1, statuses=("registered", "error"), reason="error_retell"),
        "the call failed: error_retell",
    ),
    "still going": (concluded([1, 1], 1, 1, statuses=("registered", "ongoing")), "seen to end"),
    "no status": (concluded([1, 1], statuses=()), "seen to end"),
    "unknown status": (
        concluded([1, 1], 1, 1, statuses=("registered", "paused")),
        "unknown status: paused",
    ),
    "status goes back": (
        concluded([1, 1, 0], 1, 1, 1, statuses=("ongoing", "registered", "ended")),
        "status went back",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_doubt_is_admitted(name: str) -> None:
    """If this fails, the probe guesses where the evidence fits both stories or neither."""
    findings, reason = UNCLEAR[name]
    assert findings.counts_ringing is None
    assert findings.settings is None
    assert findings.counter_lag is None
    assert reason in findings.reason


async def probed(
    session: WorkspaceSession,
    *,
    warm_up: float = 0.0,
    lines: list[str] | None = None,
    plan: Plan = Plan(),  # noqa: B008 - frozen
) -> Findings:
    await asyncio.sleep(warm_up)
    client = ProviderClient(KEY, session=session, timeout=30.0)
    return await probe(client, CALL, plan, (lines if lines is not None else []).append)


def settings(**knobs: Any) -> WorkspaceSettings:
    plain: dict[str, Any] = {
        "limit": 100,
        "answer_rate": 1.0,
        "ring_time": Constant(8.0),
        "talk_time": Constant(10.0),
    }
    return WorkspaceSettings(**{**plain, **knobs})


def called(
    *, counted: bool, rise: float, fall: float, answered: bool, ring: float, talk: float
) -> WorkspaceSettings:
    return settings(
        counts_ringing=counted,
        rise_lag=rise,
        fall_lag=fall,
        answer_rate=float(answered),
        ring_time=Constant(ring),
        unanswered_ring=Constant(ring),
        talk_time=Constant(talk),
    )


WORLDS = [
    {"counted": counted, "rise": rise, "fall": fall, "answered": answered, "ring": r, "talk": t}
    for counted, rise, fall, answered, r, t in itertools.product(
        [True, False],
        [0.0, 0.4, 1.0, 3.0],
        [0.0, 1.0, 3.0],
        [True, False],
        [0.2, 4.0, 20.0],
        [3.0, 30.0],
    )
    # A call that nobody answers has no talk, and one that is never counted has no lags.
    if answered or (t == 30.0 and (counted or (rise, fall) == (1.0, 1.0)))
]


def shown(*, rise: float, fall: float, end: float, begin: float) -> bool:
    """Whether a snapshot each half second, from the dial on, falls into the time it is shown."""
    hidden = end + fall
    return any(begin + rise <= tick < hidden for tick in (k / 2 for k in range(200)))


def decidable(
    *, counted: bool, rise: float, fall: float, answered: bool, ring: float, talk: float
) -> bool:
    """What snapshots each half second can settle, if the counter is late by 5 s at most.

    - Counted: it must be shown at all, and, if somebody answers, in a snapshot before that after
      which the call still rings. Else it may as well have begun to count when it was answered.
    - Not counted: the ringing must be too long for a counter that has not risen by then or, if
      somebody answers, it must rise too late for one that counts from the placing. Where it never
      rises because the talk was too short for it, the whole call must be that long.
    """
    end = ring + talk if answered else ring
    if counted:
        seen = shown(rise=rise, fall=fall, begin=0.0, end=end)
        first = -(-rise // 0.5) * 0.5
        return seen and (not answered or first < ring)
    if ring > LAG:
        return True
    if not answered:
        return False
    if not shown(rise=rise, fall=fall, begin=ring, end=end):
        return talk <= LAG < end - 0.5
    first = -(-(ring + rise) // 0.5) * 0.5
    return first - 0.5 > LAG


def is_right(findings: Findings, truth: WorkspaceSettings) -> bool:
    claims_lag = findings.counter_lag is not None
    if findings.falls_at_once and truth.fall_lag > AT_ONCE:
        return False
    if not findings.is_clear:
        return not claims_lag
    return findings.counts_ringing == truth.counts_ringing and (
        findings.counter_lag is None or findings.counter_lag >= truth.rise_lag
    )


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("counted", [True, False])
def test_the_truth_is_found_wherever_it_can_be(counted: bool, answered: bool) -> None:
    """If this fails, the probe claims what isn't so, or says "not clear" without need."""
    for world in WORLDS:
        if (world["counted"], world["answered"]) != (counted, answered):
            continue
        truth = called(**world)  # type: ignore[arg-type]

        async def main(truth: WorkspaceSettings = truth) -> Findings:
            return await probed(WorkspaceSession(truth))

        findings = run(main())
        assert is_right(findings, truth), (world, findings)
        assert findings.is_clear == decidable(**world), (world, findings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.0), (0.0, 0.3), (0.1, 0.2), (1.0, 1.5)])
def test_slow_answers_widen_the_findings_and_never_falsify_them(
    before: float, after: float
) -> None:
    """If this fails, the time that a request takes is mistaken for the counter's."""
    for world in WORLDS:
        if world["fall"] != 1.0 or world["talk"] != 30.0:
            continue
        truth = called(**world)  # type: ignore[arg-type]

        async def main(truth: WorkspaceSettings = truth) -> Findings:
            return await probed(WorkspaceSession(truth, before=before, after=after))

        findings = run(main())
        assert is_right(findings, truth), (world, findings)
        for lag, late in [(findings.rise_lag, truth.rise_lag), (findings.fall_lag, 1.0)]:
            assert lag is None or lag.at_least - 1e-6 <= late <= lag.at_most + 1e-6


@pytest.mark.parametrize("rate", [0.005, 0.02, 0.05, 0.1, 0.5])
def test_the_calls_of_others_make_it_unclear_and_never_wrong(rate: float) -> None:
    """If this fails, the probe takes the calls of others for its own.

    They can fool it in principle; `probing` says how, and how rarely. None of these seeds does.
    """
    clear = 0
    for seed in range(40):
        truth = settings(
            counts_ringing=bool(seed % 2),
            rise_lag=(0.0, 0.4, 1.0, 3.0)[seed // 2 % 4],
            fall_lag=(0.0, 1.0, 3.0)[seed % 3],
            answer_rate=0.5,
            ring_time=Uniform(0.2, 25.0),
            unanswered_ring=Uniform(0.2, 25.0),
            talk_time=Uniform(1.0, 30.0),
            inbound_rate=rate,
            seed=seed,
        )

        async def main(truth: WorkspaceSettings = truth) -> Findings:
            return await probed(WorkspaceSession(truth), warm_up=200.0)

        findings = run(main())
        assert is_right(findings, truth), (seed, findings)
        clear += findings.is_clear
    assert clear < 20 if rate > 0.01 else clear > 5


@pytest.mark.parametrize("rise", [0.0, 1.0])
@pytest.mark.parametrize("fall", [0.0, 0.2, 0.6, 1.0, 3.0])
def test_a_counter_that_falls_at_once_is_told_from_a_late_one(rise: float, fall: float) -> None:
    """If this fails, a late counter is taken for one that falls at once, or the other way round."""

    async def main(talk: float) -> Findings:
        truth = settings(rise_lag=rise, fall_lag=fall, talk_time=Constant(talk))
        return await probed(WorkspaceSession(truth, before=0.05, after=0.05))

    # Calls that end at different moments between two readings.
    seen = [run(main(10.0 + tenths / 10)).falls_at_once for tenths in range(6)]
    if fall == 0.0:
        assert all(seen)
    if fall > AT_ONCE:
        assert not any(seen)


def test_a_restless_workspace_gets_no_call() -> None:
    """If this fails, a call is paid for that can't teach anything."""

    async def main() -> tuple[Findings, int]:
        session = WorkspaceSession(settings(inbound_rate=0.5))
        findings = await probed(session)
        return findings, len(session.dials)

    findings, dials = run(main())
    assert dials == 0
    assert findings.reason.startswith("others are calling")
    assert findings.reason.endswith("no call was placed")


def test_a_full_workspace_gets_no_call() -> None:
    """If this fails, the probe dials into a refusal, or into burst at a surcharge."""

    async def main() -> tuple[Findings, int]:
        session = WorkspaceSession(settings(limit=3, reserved_inbound=3))
        return await probed(session), len(session.dials)

    findings, dials = run(main())
    assert dials == 0
    assert not findings.is_clear
    assert findings.reason.endswith("no call was placed")


def test_the_counter_is_read_often_enough_before_the_call() -> None:
    """If this fails, a counter that moves is taken for a steady one."""

    async def main() -> tuple[float, int]:
        session = WorkspaceSession(settings())
        await probed(session)
        [call] = session.workspace.calls()
        return call.placed_at, session.workspace.truth().readings

    placed_at, readings = run(main())
    assert placed_at == pytest.approx(10.0)
    assert readings > 21


def test_the_dial_is_the_documented_one() -> None:
    """If this fails, the provider can't make sense of the dial, or might place it twice."""

    async def main() -> list[dict[str, Any]]:
        session = WorkspaceSession(settings())
        client = ProviderClient(KEY, session=session)
        with_agent = PhoneCall("+14155550100", "+14155550101", "agent_1")
        await probe(client, with_agent, Plan(), lambda line: None)
        await probe(client, CALL, Plan(), lambda line: None)
        return session.dials

    first, second = run(main())
    assert first["override_agent_id"] == "agent_1"
    assert (second["from_number"], second["to_number"]) == ("+14155550100", "+14155550101")
    assert "override_agent_id" not in second
    assert first["idempotency_key"] != second["idempotency_key"]
    assert len(first["idempotency_key"]) == 32


DIAL, COUNTER, ASK = "/v2/create-phone-call", "/get-concurrency", "/v2/get-call"


@pytest.mark.parametrize("status", [400, 401, 402, 422, 429])
def test_a_refused_call_was_not_placed(status: int) -> None:
    """If this fails, a refusal is reported as an outage, or the other way round."""

    async def main() -> int:
        session = WorkspaceSession(settings(), answers={DIAL: [Reply(status)]})
        with pytest.raises(NotPlaced) as caught:
            await probed(session)
        assert len(session.dials) == 1
        return caught.value.status

    assert run(main()) == status


@pytest.mark.parametrize(
    ("reply", "malformed"),
    [
        (Reply(500), False),
        (Reply(503, b'{"message": "x answered HTTP 429"}'), False),
        (Reply(408), False),
        (Reply(201, fault=aiohttp.ClientPayloadError("broke off")), False),
        (Reply(202), True),
        (Reply(201), True),
        (Reply(201, b"[]"), True),
        (Reply(201, b'{"call_id": ""}'), True),
        (Reply(201, b'{"call_id": 7}'), True),
    ],
)
def test_a_dial_of_unknown_outcome_is_never_repeated(reply: Reply, malformed: bool) -> None:
    """If this fails, somebody is called twice, or doesn't learn of a call that may be going on."""

    async def main() -> bool:
        session = WorkspaceSession(settings(), answers={DIAL: [reply]})
        with pytest.raises(MaybePlaced, match="may have been placed, and is not tried") as caught:
            await probed(session)
        assert len(session.dials) == 1
        return caught.value.malformed

    assert run(main()) is malformed


def test_a_failed_reading_costs_nothing_but_itself() -> None:
    """If this fails, one hiccup of the network throws the call away."""
    hiccups = [None] * 25 + [Reply(500), Reply(503)]
    lost = [Reply(422), Reply(404), None, Reply(500)]

    async def main() -> Findings:
        truth = settings(counts_ringing=True, rise_lag=1.0)
        answers: dict[str, list[Reply | None]] = {COUNTER: [*hiccups], ASK: [*lost]}
        return await probed(WorkspaceSession(truth, answers=answers))

    assert run(main()).counts_ringing is True


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({COUNTER: [None] * 25 + [Reply(401)]}, LimitsRejected),
        ({COUNTER: [None] * 25 + [Reply(200, b"{}")]}, LimitsMalformed),
        ({ASK: [None, None, Reply(403)]}, LimitsRejected),
        ({ASK: [None, None, Reply(200, b"{}")]}, LimitsMalformed),
    ],
)
def test_a_call_is_not_left_behind(
    answers: dict[str, list[Reply | None]], error: type[Exception]
) -> None:
    """If this fails, a probe that gives up leaves a call going on that somebody pays for."""

    async def main() -> None:
        session = WorkspaceSession(settings(), answers=answers)
        with pytest.raises(error):
            await probed(session)
        assert session.stopped == [call.call_id for call in session.workspace.calls()]

    run(main())


def test_no_reading_at_all_means_no_call() -> None:
    """If this fails, the probe dials blindly."""

    async def main() -> None:
        session = WorkspaceSession(settings(), answers={COUNTER: [Reply(500)] * 99})
        with pytest.raises(LimitsUnavailable):
            await probed(session)
        assert not session.dials

    run(main())


def test_a_spoilt_call_is_stopped_at_once() -> None:
    """If this fails, a call that can't teach anything any more goes on and costs."""
    three = Reply.json({"current_concurrency": 3, "concurrency_limit": 20})

    async def main() -> tuple[Findings, float]:
        session = WorkspaceSession(settings(), answers={COUNTER: [None] * 23 + [three]})
        findings = await probed(session)
        assert len(session.stopped) == 1
        return findings, asyncio.get_running_loop().time()

    findings, ended = run(main())
    assert "the counter went from 0 to 3" in findings.reason
    assert ended < 12.0


def test_the_longest_call_is_stopped_and_still_teaches() -> None:
    """If this fails, a talkative agent makes the probe last for an hour, or teach nothing."""
    truth = settings(talk_time=Constant(3600.0), rise_lag=1.0, fall_lag=1.0)

    async def main() -> tuple[Findings, list[str], float]:
        session = WorkspaceSession(truth)
        lines: list[str] = []
        findings = await probed(session, lines=lines, plan=Plan(longest=30.0))
        assert len(session.stopped) == 1
        return findings, lines, asyncio.get_running_loop().time()

    findings, lines, ended = run(main())
    assert findings.counts_ringing is True
    assert findings.fall_lag is not None
    assert any("stopped call" in line for line in lines)
    assert ended < 50.0


def test_a_call_whose_transcript_is_long_still_teaches() -> None:
    """If this fails, a call that was paid for ends the probe because its record is long."""
    ended = {"call_status": "ended", "disconnection_reason": "agent_hangup"}
    record = Reply.json({**ended, "transcript": "hello " * 50_000})

    async def main() -> Findings:
        session = WorkspaceSession(settings(talk_time=Constant(20.0)), answers={})
        answer = session.answer

        async def with_transcript(url: str, sent: dict[str, Any]) -> Reply:
            reply = await answer(url, sent)
            is_over = b'"call_status": "ended"' in reply.body
            return record if "/get-call/" in url and is_over else reply

        session.answer = with_transcript  # type: ignore[method-assign]
        return await probed(session)

    assert run(main()).is_clear


def test_a_call_that_cannot_be_stopped_is_told_of() -> None:
    """If this fails, the probe never ends, or hides that its call goes on."""
    refused: list[Reply | None] = [Reply(500)] * 99

    async def main() -> tuple[Findings, list[str]]:
        truth = settings(talk_time=Constant(3600.0))
        asked: list[Reply | None] = [Reply.json({"call_status": "ongoing"})] * 400
        session = WorkspaceSession(truth, answers={"/v2/stop-call": refused, ASK: asked})
        lines: list[str] = []
        return await probed(session, lines=lines, plan=Plan(longest=20.0)), lines

    findings, lines = run(main())
    assert not findings.is_clear
    assert sum("could not stop call" in line for line in lines) == 2


def test_a_stop_that_meets_a_fault_is_tried_again() -> None:
    """If this fails, one hiccup of the network leaves a call going on that somebody pays for."""

    async def main() -> tuple[Findings, list[str]]:
        truth = settings(talk_time=Constant(3600.0))
        answers: dict[str, list[Reply | None]] = {"/v2/stop-call": [Reply(503)]}
        session = WorkspaceSession(truth, answers=answers)
        lines: list[str] = []
        findings = await probed(session, lines=lines, plan=Plan(longest=20.0))
        assert len(session.stopped) == 2
        return findings, lines

    findings, lines = run(main())
    assert findings.is_clear
    assert any("stopped call" in line for line in lines)
    assert not any("could not stop" in line for line in lines)


@pytest.mark.parametrize("pressed_at", [10.05, 10.15, 12.0, 25.0])
def test_ctrl_c_stops_the_call(pressed_at: float) -> None:
    """If this fails, an interrupted probe leaves its call going, also when pressed mid-dial."""

    async def main() -> None:
        session = WorkspaceSession(settings(talk_time=Constant(60.0)), before=0.1, after=0.1)
        probing = asyncio.create_task(probed(session))
        await asyncio.sleep(0.2 + pressed_at)
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        assert len(session.dials) == 1
        assert session.stopped == [call.call_id for call in session.workspace.calls()]

    run(main())


def test_ctrl_c_in_a_dial_of_unknown_outcome_says_so() -> None:
    """If this fails, an interrupted probe hides that a call may be going on."""

    async def main() -> list[str]:
        session = WorkspaceSession(settings(), before=0.5, after=0.5, answers={DIAL: [Reply(500)]})
        lines: list[str] = []
        probing = asyncio.create_task(probed(session, lines=lines))
        await asyncio.sleep(10.7)
        assert len(session.dials) == 1
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        return lines

    assert "may have been placed" in run(main())[-1]


def test_what_a_stranger_says_is_made_harmless() -> None:
    """If this fails, an answer can put the key or control characters on the terminal."""
    answer = {"call_status": "ended", "disconnection_reason": f"\x1b[2J{KEY}"}

    async def main() -> list[str]:
        answers = {ASK: [Reply.json(answer)] * 99}
        lines: list[str] = []
        await probed(WorkspaceSession(settings(), answers=answers), lines=lines)
        return lines

    said = "".join(run(main()))
    assert KEY not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("field", ["interval", "longest", "longest_lag"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(field: str, seconds: float) -> None:
    """If this fails, a probe never looks, or never ends."""
    with pytest.raises(ValueError, match="more than 0 s and finite"):
        Plan(**{field: seconds})
