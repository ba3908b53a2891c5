"""Who goes when: order, priority, wake-ups."""

from __future__ import annotations

import asyncio

import pytest

from callguard import AdmissionTimeout, Lane, NoHeadroom, QueueFull
from callguard.events import Event, TimedOut
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


def test_as_many_go_in_as_fit_and_no_more() -> None:
    """Callers at once would overshoot, or waste slots."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20, current=17)) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abcde")
            await settle()
            assert crowd.arrived == ["a", "b", "c"]
            assert gate.statistics().usage.total == 20
            await crowd.disperse()

    run(main())


def test_first_come_first_served_within_a_lane() -> None:
    """Callers would be admitted out of their order of arrival."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abcdef")
            await settle()
            for name in "abcde":
                crowd.dismiss(name)
                await settle()
            assert crowd.arrived == list("abcdef")
            await crowd.disperse()

    run(main())


def test_a_newcomer_does_not_overtake_at_the_moment_a_slot_is_given_back() -> None:
    """Someone who just arrives would take the slot that belongs to the first in the queue."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder", "waiter")
            await settle()
            crowd.dismiss(["holder"])
            with pytest.raises(NoHeadroom):
                async with gate.try_admit():
                    pass
            crowd.send("newcomer")
            await settle()
            assert crowd.arrived == ["holder", "waiter"]
            await crowd.disperse()

    run(main())


def test_a_higher_lane_goes_before_a_lower_one_that_came_earlier() -> None:
    """An urgent call would wait behind a campaign."""

    async def main() -> None:
        lanes = (Lane("bulk", priority=5), Lane("urgent", priority=1))
        async with opened(ScriptedSource(limit=1), *lanes) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            crowd.send("bulk 1", "bulk 2", lane="bulk")
            await settle()
            crowd.send("urgent 1", "urgent 2", lane="urgent")
            await settle()
            for name in ("holder", "urgent 1", "urgent 2", "bulk 1"):
                crowd.dismiss([name])
                await settle()
            assert crowd.arrived[1:] == ["urgent 1", "urgent 2", "bulk 1", "bulk 2"]
            await crowd.disperse()

    run(main())


def test_lanes_of_equal_priority_share_one_order_of_arrival() -> None:
    """The lane that was named first would starve its equals."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("x"), Lane("y")) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            for name, lane in (("1", "y"), ("2", "x"), ("3", "y"), ("4", "x")):
                crowd.send(name, lane=lane)
                await settle()
            for name in ("holder", "1", "2", "3"):
                crowd.dismiss([name])
                await settle()
            assert crowd.arrived[1:] == ["1", "2", "3", "4"]
            await crowd.disperse()

    run(main())


def test_who_is_cancelled_leaves_its_turn_to_the_next_of_all_lanes() -> None:
    """A caller would go by the earlier arrival of one that was cancelled on its lane."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("x"), Lane("y")) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            for name, lane in (("1", "x"), ("2", "y"), ("3", "x")):
                crowd.send(name, lane=lane)
                await settle()
            crowd.task("1").cancel()
            crowd.dismiss(["holder"])
            await settle()
            assert crowd.arrived[1:] == ["2"]
            await crowd.disperse()

    run(main())


def test_a_lane_that_cannot_go_does_not_hold_up_one_that_can() -> None:
    """A higher lane with a reserve would block slots that it may not use itself."""

    async def main() -> None:
        lanes = (Lane("cautious", priority=0, reserve=5), Lane("bold", priority=9))
        async with opened(ScriptedSource(limit=20, current=15), *lanes) as gate:
            crowd = Crowd(gate)
            crowd.send("cautious", lane="cautious")
            await settle()
            crowd.send("bold", lane="bold")
            await settle()
            assert crowd.arrived == ["bold"]
            await crowd.disperse()

    run(main())


def test_a_limit_lowered_and_raised_again_admits_on_the_invariant() -> None:
    """Waking by the difference of limits would admit above the limit (6 held of 4)."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=6)
        async with opened(fetcher, counted_after=1000.0) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abcdefgh")
            await settle()
            assert len(crowd.arrived) == 6
            fetcher.answer(limit=2)
            await asyncio.sleep(1.5)
            assert gate.statistics().headroom["default"] == -4
            fetcher.answer(limit=4)
            await asyncio.sleep(1.0)
            assert len(crowd.arrived) == 6
            crowd.dismiss("ab")
            await settle()
            assert len(crowd.arrived) == 6
            crowd.dismiss("c")
            await settle()
            assert crowd.arrived == list("abcdefg")
            await crowd.disperse()

    run(main())


def test_a_raised_limit_wakes_as_many_as_it_made_room_for() -> None:
    """Callers would stay in the queue beside free slots."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abcdef")
            await settle()
            fetcher.answer(limit=4)
            await asyncio.sleep(1.1)
            assert crowd.arrived == list("abcd")
            await crowd.disperse()

    run(main())


def test_a_caller_waits_no_longer_than_it_said() -> None:
    """A caller with a timeout would hang in the queue, or be told too early."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20, current=20)) as gate:
            start = asyncio.get_running_loop().time()
            with pytest.raises(AdmissionTimeout) as caught:
                async with gate.admit(timeout=20.0):
                    pass
            assert asyncio.get_running_loop().time() - start == pytest.approx(20.0)
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.decision.constraint == "limit"
            assert "timed out in the queue; denied: 20 of 20 in use" in str(caught.value)
            statistics = gate.statistics()
            assert (statistics.timed_out, statistics.waiting["default"]) == (1, 0)

    run(main())


def test_a_slot_that_comes_in_time_is_no_timeout() -> None:
    """A caller that was admitted as its time ended would be counted and told as timed out too."""

    async def main() -> None:
        events: list[Event] = []
        async with opened(ScriptedSource(limit=1), listener=events.append) as gate:
            loop = asyncio.get_running_loop()
            async with gate.admit() as first:
                loop.call_later(5.0, first.cancel)
                async with gate.admit(timeout=5.0):
                    assert gate.statistics().timed_out == 0
                    assert not any(isinstance(event, TimedOut) for event in events)

    run(main())


@pytest.mark.parametrize(("timeout", "max_wait", "waited"), [(9.0, 3.0, 3.0), (3.0, 9.0, 3.0)])
def test_the_shorter_of_timeout_and_the_lanes_max_wait_counts(
    timeout: float, max_wait: float, waited: float
) -> None:
    """A lane's own bound on waiting would be ignored, or override the caller's shorter one."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0), Lane("bulk", max_wait=max_wait)) as gate:
            start = asyncio.get_running_loop().time()
            with pytest.raises(AdmissionTimeout):
                async with gate.admit("bulk", timeout=timeout):
                    pass
            assert asyncio.get_running_loop().time() - start == pytest.approx(waited)

    run(main())


def test_a_queue_is_no_longer_than_its_lane_allows() -> None:
    """A bounded line would grow without bound, or turn callers away while there is room."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("bulk", max_waiting=2)) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b", "c", lane="bulk")
            await settle()
            with pytest.raises(QueueFull) as caught:
                async with gate.admit("bulk"):
                    pass
            assert caught.value.retry_after == pytest.approx(1.0)
            assert gate.statistics().waiting["bulk"] == 2
            await crowd.disperse()

    run(main())


def test_who_finds_a_full_queue_that_empties_at_that_instant_goes_at_once() -> None:
    """A caller would wait beside a free slot until the next reading, and be overtaken."""

    async def main() -> None:
        lane = Lane("short", max_waiting=1, default=True)
        async with opened(ScriptedSource(limit=2), lane, ttl=1000.0, max_age=5000.0) as gate:
            crowd = Crowd(gate)
            crowd.send("a", "b", "waits")
            await settle()
            late = gate.admit().__aenter__()
            late.send(None)  # it has found the queue full, and lets others run
            crowd.dismiss(["a", "b"])
            with pytest.raises(StopIteration) as entered:
                late.send(None)
            await settle()
            assert crowd.arrived == ["a", "b", "waits"]
            entered.value.value.cancel()
            await crowd.disperse()

    run(main())


def test_waiting_asks_once_per_ttl_however_many_wait_and_nothing_is_asked_when_none_do() -> None:
    """The provider would be asked per caller, or for ever."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send(*(str(number) for number in range(500)))
            await asyncio.sleep(10.5)
            assert len(fetcher.asked) == 11
            await crowd.disperse()
            await asyncio.sleep(100.0)
            assert len(fetcher.asked) <= 12

    run(main())


def test_a_thousand_at_once_on_a_cold_gate_cost_one_reading() -> None:
    """Every caller would ask the provider for itself."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5000, latency=0.1)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send(*(str(number) for number in range(1000)))
            await settle()
            assert len(crowd.arrived) == 1000
            assert len(fetcher.asked) == 1
            await crowd.disperse()

    run(main())


def test_waiters_have_no_task_or_timer_of_their_own() -> None:
    """Waiting would cost more than memory."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0)) as gate:
            crowd = Crowd(gate)
            crowd.send(*(str(number) for number in range(100)))
            await settle()
            others = asyncio.all_tasks() - {crowd.task(str(number)) for number in range(100)}
            assert others == {asyncio.current_task()}
            await crowd.disperse()

    run(main())
