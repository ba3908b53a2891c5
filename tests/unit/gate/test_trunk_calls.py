"""Trunks that take so many calls at once: who is on one, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from callguard import AdmissionTimeout, Gate, Lane, NoHeadroom, Permit, Trunk
from callguard.decision import OnTrunk
from callguard.fetcher import CallState
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle

TWO, FAST = Trunk("two", cps=None, calls=2), Trunk("fast", cps=5.0)

LONGEST = 30.0 + 3600.0
"""Seconds: of ringing, and then of the call."""


async def placed(gate: Gate, *call_ids: str, trunk: str = "two") -> list[Permit]:
    """Calls on a trunk whose dials have returned."""
    permits = []
    for call_id in call_ids:
        async with gate.admit(trunk=trunk) as permit:
            permit.placed(call_id)
        permits.append(permit)
    return permits


def test_a_trunk_takes_as_many_calls_as_it_says_and_no_more() -> None:
    """The carrier would refuse what comes on top, though the workspace has room."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abcd", trunk="two")
            await settle()
            assert crowd.arrived == ["a", "b"]
            await crowd.disperse()

    run(main())


def test_a_call_that_the_count_shows_is_on_its_trunk_still() -> None:
    """The count doesn't tell by trunk, so the place would be given twice."""

    async def main() -> None:
        source = ScriptedSource(limit=20)
        async with opened(source, trunks=[TWO]) as gate:
            await placed(gate, "call_1", "call_2")
            source.answer(limit=20, current=2)
            crowd = Crowd(gate)
            crowd.send("c", trunk="two")
            await asyncio.sleep(60)
            usage = gate.statistics().usage
            assert (usage.reported, usage.uncounted) == (2, 0)
            assert crowd.arrived == []
            await crowd.disperse()

    run(main())


def _ended(gate: Gate, permit: Permit) -> None:
    permit.ended()


def _note_ended(gate: Gate, permit: Permit) -> None:
    gate.note_ended(permit.call_id or "")


def _refused(gate: Gate, permit: Permit) -> None:
    permit.refused()


@pytest.mark.parametrize("say", [_ended, _note_ended, _refused])
@pytest.mark.parametrize("after", [0.0, 60.0])
def test_whoever_waits_goes_at_once_when_a_call_on_its_trunk_ends(
    say: Callable[[Gate, Permit], None], after: float
) -> None:
    """A trunk would be empty for an hour, counted by the count or not."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            permits = await placed(gate, "call_1", "call_2")
            crowd = Crowd(gate)
            crowd.send("c", "d", trunk="two")
            await asyncio.sleep(after)
            say(gate, permits[0])
            if say is _refused:
                await asyncio.sleep(1.0)  # a later snapshot is needed besides
            await settle()
            assert crowd.arrived == ["c"]
            await crowd.disperse()

    run(main())


def test_a_call_of_which_nobody_tells_is_on_its_trunk_for_as_long_as_a_call_can_last() -> None:
    """A trunk would be taken for ever, or be given while its call goes on."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            began = _now()
            await placed(gate, "call_1", "call_2")
            crowd = Crowd(gate)
            crowd.send("c", trunk="two")
            await asyncio.sleep(LONGEST - 0.1)
            assert crowd.arrived == []
            await asyncio.sleep(0.2)
            assert crowd.times["c"] - began == pytest.approx(LONGEST)
            await crowd.disperse()

    run(main())


def test_whoever_waited_before_the_dial_returned_goes_when_the_call_is_surely_over() -> None:
    """Where readings are rare, a caller would wait for the next though nothing is in its way."""

    async def main() -> None:
        trunk = Trunk("one", cps=None, calls=1, longest_call=10.0)
        source = ScriptedSource(limit=20)
        async with opened(source, trunks=[trunk], ttl=1000.0, max_age=5000.0) as gate:
            crowd = Crowd(gate)
            async with gate.admit(trunk="one"):
                crowd.send("next", trunk="one")
                await settle()
                returned = _now()
            await asyncio.sleep(50)
            assert crowd.times["next"] - returned == pytest.approx(40.0)
            await crowd.disperse()

    run(main())


def test_a_dial_takes_its_trunk_for_as_long_as_it_takes() -> None:
    """The time of a slow dial would be taken from the call that comes of it."""

    async def main() -> None:
        trunk = Trunk("one", cps=None, calls=1, longest_call=10.0)
        async with opened(ScriptedSource(limit=20), trunks=[trunk]) as gate:
            crowd = Crowd(gate)
            async with gate.admit(trunk="one"):
                crowd.send("next", trunk="one")
                await asyncio.sleep(100)
                returned = _now()
            await asyncio.sleep(100)
            assert crowd.times["next"] - returned == pytest.approx(40.0)
            await crowd.disperse()

    run(main())


def test_a_call_that_was_not_dialled_or_not_placed_leaves_its_trunk_at_once() -> None:
    """Who changes its mind, or is refused, would keep a trunk for an hour."""

    class BadNumber(Refusal):
        status_code = 400

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[Trunk("one", calls=1)]) as gate:
            async with gate.admit(trunk="one") as permit:
                permit.cancel()
            for error in (BadNumber, Refusal):
                with pytest.raises(error):
                    async with gate.admit(trunk="one"):
                        raise error
            async with gate.admit(trunk="one", timeout=10.0):
                pass

    run(main())


def test_a_grant_that_is_cancelled_at_that_instant_leaves_its_trunk() -> None:
    """A place that nobody knows of would be lost for good, since nobody will ever dial."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            permits = await placed(gate, "call_1", "call_2")
            crowd = Crowd(gate)
            crowd.send("c", "d", trunk="two")
            await settle()
            permits[0].ended()
            crowd.task("c").cancel()
            await settle()
            assert crowd.arrived == ["d"]
            await crowd.disperse()

    run(main())


def test_what_was_taken_back_and_placed_after_all_is_on_its_trunk_again() -> None:
    """The trunk would have one call more than is known."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            async with gate.admit(trunk="two") as permit:
                permit.cancel()
            permit.placed("call_1")
            await placed(gate, "call_2")
            assert gate.explain(trunk="two").on_trunk == OnTrunk(2, 2)
            gate.note_ended("call_1")
            assert gate.explain(trunk="two").on_trunk == OnTrunk(1, 2)

    run(main())


def test_an_end_that_was_heard_before_the_dial_returned_counts() -> None:
    """A call that was over at once would keep its trunk for an hour."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            gate.note_ended("call_1")
            await placed(gate, "call_1")
            assert gate.statistics().on_trunk == {"two": OnTrunk(0, 2)}

    run(main())


def test_a_full_trunk_holds_up_nobody_on_another_or_on_none() -> None:
    """One carrier that is full would stop the workspace."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        async with opened(ScriptedSource(limit=20), *lanes, trunks=[TWO, FAST]) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abc", lane="urgent", trunk="two")
            crowd.send("other trunk", lane="urgent", trunk="fast")
            crowd.send("lower lane", lane="bulk", trunk=None)
            await settle()
            assert crowd.arrived == ["a", "b", "other trunk", "lower lane"]
            await crowd.disperse()

    run(main())


def test_nobody_holds_a_slot_while_waiting_for_a_trunk_that_is_full() -> None:
    """The limit would be taken by callers that can't dial."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=3), trunks=[TWO]) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abc", trunk="two")
            crowd.send("d")
            await settle()
            assert gate.statistics().usage.dialling == 3
            assert crowd.arrived == ["a", "b", "d"]
            await crowd.disperse()

    run(main())


def test_on_a_full_trunk_the_higher_lane_goes_first_and_within_a_lane_the_earlier() -> None:
    """A full trunk would turn the order of arrival or the lanes around."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        one = Trunk("one", cps=None, calls=1)
        async with opened(ScriptedSource(limit=20), *lanes, trunks=[one]) as gate:
            crowd = Crowd(gate)
            crowd.send("first", "b1", "b2", lane="bulk", trunk="one")
            await settle()
            crowd.send("u1", "u2", lane="urgent", trunk="one")
            for name in ("first", "u1", "u2", "b1"):
                await settle()
                crowd.dismiss([name])
            await settle()
            assert crowd.arrived == ["first", "u1", "u2", "b1", "b2"]
            await crowd.disperse()

    run(main())


def test_a_trunk_keeps_its_rate_beside_its_most() -> None:
    """Whoever says how many would lose how fast."""

    async def main() -> None:
        both = Trunk("both", cps=1.0, calls=2)
        async with opened(ScriptedSource(limit=20), trunks=[both]) as gate:
            crowd, began = Crowd(gate), _now()
            crowd.send(*"abc", trunk="both")
            await asyncio.sleep(10)
            assert [crowd.times[name] - began for name in "ab"] == pytest.approx([0.0, 1.05])
            crowd.permits["a"].ended()
            await settle()
            assert crowd.arrived == ["a", "b", "c"]
            await crowd.disperse()

    run(main())


def test_only_the_trunk_is_in_the_way_and_says_so() -> None:
    """Whoever asks why would be told of a limit that has room, or of a moment that nobody knows."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            await placed(gate, "call_1", "call_2")
            decision = gate.explain(trunk="two")
            assert (decision.admitted, decision.constraint) == (False, "trunk full")
            assert (decision.on_trunk, decision.lifts_in, decision.eta) == (
                OnTrunk(2, 2),
                None,
                None,
            )
            assert str(decision).startswith("denied: trunk 'two' has 2 of 2 calls; 2 of 20 in use")
            assert str(decision).endswith("; until when is unknown")
            with pytest.raises(NoHeadroom) as denied:
                async with gate.try_admit(trunk="two"):
                    pass
            assert denied.value.retry_after is None
            with pytest.raises(AdmissionTimeout) as late:
                async with gate.admit(trunk="two", timeout=0.5):
                    pass
            assert late.value.retry_after is None
            assert gate.explain().on_trunk is None

    run(main())


def test_a_trunk_that_empties_again_and_again_says_when_a_caller_is_next() -> None:
    """Where calls come to an end all the time, nothing would be foreseen."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), trunks=[TWO]) as gate:
            crowd = Crowd(gate)
            crowd.send(*map(str, range(30)), trunk="two")
            for number in range(20):
                await asyncio.sleep(5.0)
                crowd.dismiss([str(number)])
            await settle()
            eta = gate.eta(trunk="two")
            assert eta is not None
            assert 30 < eta.p50 < 60
            await crowd.disperse()

    run(main())


def test_the_calls_on_a_full_trunk_are_asked_about_though_they_are_counted() -> None:
    """Where no webhook comes, a full trunk would be full for an hour."""

    async def main() -> None:
        asked, over = list[str](), set[str]()

        async def ask(call_id: str) -> CallState:
            asked.append(call_id)
            return CallState(answered=True, over=call_id in over, refused=False)

        async with opened(ScriptedSource(limit=20), trunks=[TWO], ask=ask) as gate:
            await placed(gate, "call_1", "call_2")
            crowd = Crowd(gate)
            crowd.send("c", trunk="two")
            await asyncio.sleep(60)
            asked.clear()
            over.add("call_2")
            await asyncio.sleep(2)
            assert crowd.arrived == ["c"]
            asked.clear()
            crowd.dismiss(["c"])
            crowd.send("d", trunk=None)
            await asyncio.sleep(5)
            assert asked == []  # the trunk has room again, and no answer is needed
            await crowd.disperse()

    run(main())


def _now() -> float:
    return asyncio.get_running_loop().time()
