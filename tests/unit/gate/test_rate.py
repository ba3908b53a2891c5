"""Slots and rates: who starts when, on which trunk."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Any

import pytest

import callguard
from callguard import AdmissionTimeout, Lane, NoHeadroom, Trunk, UsageError
from callguard.events import Admitted, Event, Listener
from callguard.testing import ScriptedSource, VirtualTimeLoop
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle

TRUNKS = [Trunk("twilio"), Trunk("fast", cps=5.0), Trunk("telnyx", cps=2.0, window=5.0)]


def test_starts_are_evenly_spaced_and_the_first_is_at_once() -> None:
    """The provider would refuse calls that come faster than it takes them."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=1.0) as gate:
            crowd, began = Crowd(gate), _now()
            crowd.send(*"abcd")
            await asyncio.sleep(10)
            assert crowd.arrived == list("abcd")
            assert _since(began, crowd) == pytest.approx([0.0, 1.05, 2.1, 3.15])
            await crowd.disperse()

    run(main())


class _TickingLoop(VirtualTimeLoop):
    """A loop on whose clock each look takes a microsecond, as on a real one."""

    def time(self) -> float:
        self.now += 1e-6
        return self.now


@pytest.mark.parametrize("cps", [1e6, 7e5, 5e5, 3e5, 2e5])
def test_a_trunk_that_comes_due_while_a_caller_joins_holds_nobody_up(cps: float) -> None:
    """A caller would wait for the next reading, although its call fits and may start."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=200), cps=cps, ttl=3600.0, max_age=7200.0) as gate:
            for _ in range(50):
                async with asyncio.timeout(60), gate.admit():
                    pass

    with asyncio.Runner(loop_factory=_TickingLoop) as runner:
        runner.run(main())


def test_what_a_trunk_leaves_unused_is_not_saved_up() -> None:
    """After a quiet minute a burst would go out, and be refused."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=1.0) as gate:
            await asyncio.sleep(60)
            crowd, began = Crowd(gate), _now()
            crowd.send(*"abc")
            await asyncio.sleep(10)
            assert _since(began, crowd) == pytest.approx([0.0, 1.05, 2.1])
            await crowd.disperse()

    run(main())


def test_a_window_takes_so_many_at_once_and_never_more_in_any_window() -> None:
    """A carrier that counts by windows would be used at a fraction, or beyond what it takes."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=50), trunks=TRUNKS) as gate:
            crowd, began = Crowd(gate), _now()
            crowd.send(*map(str, range(23)), trunk="telnyx")
            await asyncio.sleep(20)
            assert _since(began, crowd) == [0.0] * 10 + [5.25] * 10 + [10.5] * 3
            await crowd.disperse()

    run(main())


def test_a_trunk_that_is_not_due_holds_up_nobody_on_another() -> None:
    """Calls that could start would wait for a rate that is not theirs."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        async with opened(ScriptedSource(limit=20), *lanes, trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abc", lane="urgent", trunk="twilio")
            crowd.send("other trunk", lane="bulk", trunk="fast")
            crowd.send("no trunk", lane="bulk", trunk=None)
            crowd.send("no rate", lane="bulk")
            await settle()
            assert crowd.arrived == ["a", "other trunk", "no trunk", "no rate"]
            await crowd.disperse()

    run(main())


def test_nobody_holds_a_slot_while_waiting_for_a_rate() -> None:
    """Half of the limit would be taken by callers that can't dial."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=2), trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b", "c", trunk="twilio")
            await settle()
            assert gate.statistics().usage.dialling == 1
            crowd.send("d", trunk="fast")
            await settle()
            assert crowd.arrived == ["a", "d"]
            await asyncio.sleep(1.05)
            assert crowd.arrived == ["a", "d"]  # the trunk is due, and there is no slot
            crowd.dismiss("d")
            await settle()
            assert crowd.arrived == ["a", "d", "b"]
            await crowd.disperse()

    run(main())


def test_on_one_trunk_the_higher_lane_goes_first_and_within_a_lane_the_earlier() -> None:
    """A rate would turn the order of arrival or the lanes around."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        async with opened(ScriptedSource(limit=20), *lanes, trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send("first", "b1", "b2", lane="bulk", trunk="twilio")
            await asyncio.sleep(0.5)
            crowd.send("u1", "u2", lane="urgent", trunk="twilio")
            await asyncio.sleep(10)
            assert crowd.arrived == ["first", "u1", "u2", "b1", "b2"]
            await crowd.disperse()

    run(main())


def test_a_newcomer_does_not_overtake_at_the_moment_a_trunk_comes_due() -> None:
    """Someone who just arrives would take the start of the first in the queue."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=1.0) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b")
            await settle()
            _stand_still(1.2)
            crowd.send("newcomer")
            await asyncio.sleep(10)
            assert crowd.arrived == ["a", "b", "newcomer"]
            await crowd.disperse()

    run(main())


def test_one_that_does_not_wait_overtakes_nobody_whose_trunk_has_come_due() -> None:
    """A slot and a start would go to a caller that came later, since the timer is a moment late."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=2), trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b", trunk="twilio")
            await settle()
            _stand_still(1.2)
            with pytest.raises(NoHeadroom):
                async with gate.try_admit(trunk="fast"):
                    pass
            await settle()
            assert crowd.arrived == ["a", "b"]
            await crowd.disperse()

    run(main())


def test_a_caller_that_did_not_dial_gives_its_start_back() -> None:
    """Whoever changes its mind would cost the next one a second."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=1.0) as gate:
            async with gate.admit() as permit:
                permit.cancel()
            began = _now()
            async with gate.admit():
                assert _now() == began

    run(main())


def test_a_grant_that_is_cancelled_at_that_instant_gives_its_start_back() -> None:
    """A start that nobody used would be lost."""

    async def main() -> None:
        crowds = list[Crowd]()

        def hear(event: Event) -> None:
            if isinstance(event, Admitted) and event.waited:
                crowds[0].task("b").cancel()

        async with opened(ScriptedSource(limit=20), cps=1.0, listener=hear) as gate:
            crowd, began = Crowd(gate), _now()
            crowds.append(crowd)
            crowd.send("a", "b", "c")
            await asyncio.sleep(2.0)
            assert crowd.arrived == ["a", "c"]
            assert _since(began, crowd) == pytest.approx([0.0, 1.05])
            await crowd.disperse()

    run(main())


@pytest.mark.parametrize("status", [429, 400, 500])
def test_a_dial_that_failed_was_an_attempt(status: int) -> None:
    """The next dial would come too soon, since the provider counts what it refuses."""

    class Answer(Refusal):
        status_code = status

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=1.0) as gate:
            began = _now()
            with pytest.raises(Answer):
                async with gate.admit():
                    raise Answer
            async with gate.admit():
                assert _now() - began >= 1.05

    run(main())


def test_a_refusal_pushes_its_trunk_back_further_each_time_until_a_dial_succeeds() -> None:
    """A provider that takes fewer calls than was said would refuse one after the other."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[Trunk("a", cps=0.5)]) as gate:
            starts = list[float]()
            for refused in (True, True, True, False, True, False):
                async with gate.admit(trunk="a") as permit:
                    starts.append(_now())
                    if refused:
                        permit.refused(429)
            apart = [later - earlier for earlier, later in itertools.pairwise(starts)]
            assert apart == pytest.approx([2.1, 4.2, 8.4, 2.1, 2.1])

    run(main())


def test_a_refusal_pushes_no_other_trunk_back() -> None:
    """One carrier that is full would stop the others for up to half a minute."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=TRUNKS) as gate:
            for _ in range(4):
                with pytest.raises(Refusal):
                    async with gate.admit(trunk="twilio"):
                        raise Refusal
            began = _now()
            async with gate.admit(trunk="fast"):
                assert _now() - began <= 1.0  # a later snapshot is needed, and nothing else

    run(main())


def test_only_the_rate_is_in_the_way_and_says_so() -> None:
    """Whoever asks why would be told of a limit that has room."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=TRUNKS) as gate:
            async with gate.admit(trunk="twilio"):
                await asyncio.sleep(0.65)
                decision = gate.explain(trunk="twilio")
                assert (decision.admitted, decision.constraint) == (False, "rate")
                assert decision.trunk == "twilio"
                assert decision.lifts_in == pytest.approx(0.4)
                assert str(decision).startswith("denied: trunk 'twilio' due in 0.4 s; 1 of 20 in")
                with pytest.raises(NoHeadroom) as denied:
                    async with gate.try_admit(trunk="twilio"):
                        pass
                assert denied.value.retry_after == pytest.approx(0.4)
                with pytest.raises(AdmissionTimeout) as late:
                    async with gate.admit(trunk="twilio", timeout=0.3):
                        pass
                assert late.value.retry_after == pytest.approx(0.1)
                assert gate.explain(trunk=None).admitted
                await asyncio.sleep(0.2)
                assert gate.explain(trunk="twilio").lifts_in == 0.0
                assert gate.explain(trunk="twilio").admitted

    run(main())


def test_where_only_the_rate_is_in_the_way_no_reading_is_waited_for() -> None:
    """A caller that doesn't wait would wait for an answer that changes nothing."""

    async def main() -> None:
        source = ScriptedSource(limit=20, latency=0.2)
        async with opened(source, trunks=[Trunk("slow", cps=0.1)]) as gate:
            async with gate.admit(trunk="slow"):
                await asyncio.sleep(5.0)
                began = _now()
                with pytest.raises(NoHeadroom):
                    async with gate.try_admit(trunk="slow"):
                        pass
                assert _now() == began

    run(main())


def test_the_statistics_say_when_each_trunk_is_due() -> None:
    """Whoever watches a gate would not see why nobody starts."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=2.0, trunks=TRUNKS) as gate:
            async with gate.admit(trunk="twilio"):
                due_in = gate.statistics().due_in
                assert due_in == {"default": 0.0, "twilio": 1.05, "fast": 0.0, "telnyx": 0.0}

    run(main())


def test_a_call_that_is_refused_after_its_dial_returned_pushes_its_trunk_back_too() -> None:
    """A provider that answers 201 and then gives the call up would be asked at the same pace."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[Trunk("a", cps=0.5)]) as gate:
            starts = list[float]()
            for _ in range(4):
                async with gate.admit(trunk="a") as permit:
                    starts.append(_now())
                    permit.placed()
                    permit.refused()
            apart = [later - earlier for earlier, later in itertools.pairwise(starts)]
            assert apart == pytest.approx([2.1, 4.2, 8.4])

    run(main())


@pytest.mark.parametrize("listener", [None, lambda _: None])
def test_a_refusal_that_is_heard_by_the_id_of_the_call_pushes_its_trunk_back_too(
    listener: Listener | None,
) -> None:
    """A provider that gives calls up, as webhooks say, would be asked at the same pace."""

    async def main() -> None:
        trunks = [Trunk("a", cps=0.5)]
        async with opened(ScriptedSource(limit=20), trunks=trunks, listener=listener) as gate:
            starts = list[float]()
            for call in ("one", "two", "three", "four"):
                async with gate.admit(trunk="a") as permit:
                    starts.append(_now())
                    permit.placed(call)
                gate.note_ended(call, refused=True)
                gate.note_ended(call, refused=True)
            apart = [later - earlier for earlier, later in itertools.pairwise(starts)]
            assert apart == pytest.approx([2.1, 4.2, 8.4])

    run(main())


@pytest.mark.parametrize("trunk", ["twilio", "telnyx"])
def test_a_start_that_was_given_back_is_charged_again_where_the_call_was_placed(trunk: str) -> None:
    """Whoever was wrong about its dial would have the next one refused for coming too soon."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=50), trunks=TRUNKS) as gate:
            most = next(each for each in TRUNKS if each.name == trunk).most
            for _ in range(most):
                async with gate.admit(trunk=trunk) as permit:
                    permit.cancel()
                    assert gate.explain(trunk=trunk).admitted
                    permit.placed()
            assert gate.explain(trunk=trunk).constraint == "rate"

    run(main())


def test_a_start_is_charged_once_however_often_the_call_is_said_to_be_placed() -> None:
    """A trunk would wait for a start that never was."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=TRUNKS) as gate:
            async with gate.admit(trunk="twilio") as permit:
                await asyncio.sleep(1.0)
                permit.refused(429)
                due_in = gate.statistics().due_in["twilio"]
                permit.placed()
                assert gate.statistics().due_in["twilio"] == due_in

    run(main())


def test_a_lane_lets_as_many_wait_as_it_says_whatever_their_trunks() -> None:
    """A bound on the queue would hold for each trunk by itself."""

    async def main() -> None:
        lane = Lane("small", max_waiting=2)
        async with opened(ScriptedSource(limit=0), lane, trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send("a", lane="small", trunk="twilio")
            crowd.send("b", lane="small", trunk="fast")
            crowd.send("c", lane="small", trunk=None)
            await settle()
            assert gate.statistics().waiting["small"] == 2
            await crowd.disperse()

    run(main())


def test_one_timer_serves_all_who_wait_for_a_rate() -> None:
    """A hundred thousand callers would each keep the loop busy."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=500), trunks=TRUNKS) as gate:
            crowd, loop = Crowd(gate), asyncio.get_running_loop()
            crowd.send(*map(str, range(100)), trunk="twilio")
            crowd.send(*map(str, range(100, 200)), trunk="fast")
            await settle()
            timers: list[Any] = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
            assert len(timers) <= 2  # the alarm's and the reader's
            await crowd.disperse()

    run(main())


@pytest.mark.parametrize(
    ("trunk", "error", "message"),
    [
        ("twillio", UsageError, "'twilio'"),
        (5, TypeError, "trunk"),
        (Trunk("twilio", cps=9.0), UsageError, "opened with"),
        (Trunk("other"), UsageError, "no trunk"),
    ],
)
def test_a_trunk_that_the_gate_has_not_is_refused(
    trunk: Any, error: type[Exception], message: str
) -> None:
    """A typing error would dial without a rate."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=TRUNKS) as gate:
            for ask in (gate.admit, gate.try_admit, gate.explain):
                with pytest.raises(error, match=message):
                    ask(trunk=trunk)

    run(main())


def test_the_short_form_goes_by_the_default_trunk() -> None:
    """The shortest way in would dial at any rate."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), cps=2.0) as gate:
            began = _now()
            for _ in range(3):
                async with gate:
                    pass
            assert _now() - began == pytest.approx(2 * 0.525)

    run(main())


def test_without_a_word_calls_start_one_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """Who knows nothing of rates would dial faster than the provider takes calls."""

    async def main() -> None:
        async with callguard.open_gate(source=ScriptedSource(limit=20)) as gate:
            began = _now()
            for _ in range(3):
                async with gate.admit():
                    pass
            assert _now() - began == pytest.approx(2.1)

    with caplog.at_level(logging.INFO, logger="callguard"):
        run(main())
    assert "1 a second" in caplog.text


def _now() -> float:
    return asyncio.get_running_loop().time()


def _since(began: float, crowd: Crowd) -> list[float]:
    return [crowd.times[name] - began for name in crowd.arrived]


def _stand_still(seconds: float) -> None:
    """Let time pass without a turn of the loop, as in a callback that takes long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.now += seconds
