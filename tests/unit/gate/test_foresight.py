"""When a caller would be next: what `eta`, `explain`, the errors and the statistics say of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import pytest

from callguard import AdmissionTimeout, Eta, Gate, Lane, NoHeadroom, QueueFull, Trunk
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle

EVERY = 4.0
"""Seconds from one slot that comes free to the next."""


async def flowing(crowd: Crowd, names: Sequence[str]) -> None:
    """One by one these give their slots back."""
    for name in names:
        await asyncio.sleep(EVERY)
        crowd.dismiss([name])
        await settle()


async def busy(gate: Gate, lane: str | None = None, callers: int = 30, gone: int = 20) -> Crowd:
    """Callers on one slot, of whom so many have gone."""
    crowd = Crowd(gate)
    names = [f"{lane} {i}" for i in range(callers)]
    crowd.send(*names, lane=lane)
    await settle()
    await flowing(crowd, names[:gone])
    return crowd


def known(eta: Eta | None) -> Eta:
    assert eta is not None
    return eta


def test_a_caller_is_told_when_it_would_be_next_by_how_fast_others_went() -> None:
    """Nobody could tell a queue that is done in a minute from one that takes an hour."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = await busy(gate)
            eta, decision = known(gate.eta()), gate.explain()
            assert eta.p50 == pytest.approx(10 * EVERY, rel=0.1)
            assert eta.p50 < eta.p90 < 2 * eta.p50
            assert decision.eta == eta
            assert decision.lifts_in == eta.p50
            assert str(decision).endswith(
                "; by the present rate of grants yours is next in about "
                f"{eta.p50:.0f} s (p90 {eta.p90:.0f} s)"
            )
            await crowd.disperse()

    run(main())


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    """A number would be made up before anybody went, and believed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = await busy(gate, callers=3, gone=0)
            await asyncio.sleep(60.0)
            decision = gate.explain()
            assert (gate.eta(), decision.eta, decision.lifts_in) == (None, None, None)
            assert str(decision).endswith("; until when is unknown")
            assert gate.statistics().eta == {"default": None}
            await crowd.disperse()

    run(main())


def test_where_there_is_room_nobody_waits() -> None:
    """A free line would be shown as one with a wait."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            assert gate.eta() == Eta(0.0, 0.0)
            assert gate.explain().lifts_in == 0.0

    run(main())


def test_the_errors_say_when_it_is_worth_coming_back() -> None:
    """Whoever doesn't wait would come back every second, or never."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("few", max_waiting=3)) as gate:
            crowd = await busy(gate, "few", callers=4, gone=0)
            for i in range(6):
                await flowing(crowd, [f"few {i}"])
                crowd.send(f"few {i + 4}", lane="few")
                await settle()
            p50 = known(gate.eta("few")).p50
            with pytest.raises(QueueFull) as full:
                async with gate.admit("few"):
                    pass
            with pytest.raises(NoHeadroom) as denied:
                async with gate.try_admit("few"):
                    pass
            with pytest.raises(AdmissionTimeout) as late:
                async with gate.admit("default", timeout=0.0):
                    pass
            assert full.value.retry_after == denied.value.retry_after == p50
            assert late.value.retry_after == known(late.value.decision.eta).p50
            await crowd.disperse()

    run(main())


def test_who_waits_on_a_higher_lane_is_ahead() -> None:
    """A caller on the lower lane would be told of a turn that others have first."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        async with opened(ScriptedSource(limit=1), *lanes) as gate:
            crowd = await busy(gate, "bulk")
            before = {lane: known(gate.eta(lane)).p50 for lane in ("urgent", "bulk")}
            crowd.send(*"abcdefghi", lane="urgent")
            await settle()
            after = {lane: known(gate.eta(lane)).p50 for lane in ("urgent", "bulk")}
            assert before["urgent"] < EVERY
            assert after["urgent"] == pytest.approx(before["bulk"], rel=0.1)
            assert after["bulk"] == pytest.approx(2 * before["bulk"], rel=0.1)
            await crowd.disperse()

    run(main())


@pytest.mark.parametrize("order", [("urgent", "bulk"), ("bulk", "urgent")])
def test_the_time_in_which_a_higher_lane_goes_first_is_no_time_between_grants(
    order: tuple[str, str],
) -> None:
    """Who waited behind a crowd would slow down, in words, all who come after it is gone."""

    async def main() -> None:
        lanes = Lane("urgent", priority=-1), Lane("bulk", priority=1)
        async with opened(ScriptedSource(limit=1), *lanes) as gate:
            crowd = Crowd(gate)
            names = {lane: [f"{lane} {i}" for i in range(20)] for lane in order}
            for lane in order:
                crowd.send(*names[lane], lane=lane)
            await settle()
            first = names[order[0]].pop(0)  # who found room
            await flowing(crowd, [first, *names["urgent"], *names["bulk"][:6]])
            place = gate.statistics().waiting["bulk"] + 1
            assert known(gate.eta("bulk")).p50 == pytest.approx(place * EVERY, rel=0.15)
            await crowd.disperse()

    run(main())


def test_a_trunks_rate_is_the_least_that_it_takes() -> None:
    """A caller would be promised a start that its trunk doesn't have."""

    async def main() -> None:
        trunks = [Trunk("twilio", cps=0.5), Trunk("fast", cps=5.0)]
        async with opened(ScriptedSource(limit=50), trunks=trunks) as gate:
            crowd = Crowd(gate)
            crowd.send(*map(str, range(11)), trunk="twilio")
            crowd.send("other", trunk="fast")
            await settle()
            assert known(gate.eta(trunk="twilio")) == Eta(10 * 2.1 + 2.1, 10 * 2.1 + 2.1)
            assert known(gate.eta(trunk="fast")).p90 == pytest.approx(0.21)
            assert gate.explain(trunk="twilio").lifts_in == pytest.approx(2.1)
            assert gate.eta(trunk=None) == Eta(0.0, 0.0)
            await crowd.disperse()

    run(main())


def test_a_trunk_whose_window_is_full_takes_one_call_as_each_start_leaves_it() -> None:
    """A caller would be promised a start as if all of a full window were free at once."""

    async def main() -> None:
        trunk = Trunk("twilio", cps=1.0, window=5.0)
        async with opened(ScriptedSource(limit=50), trunks=[trunk]) as gate:
            crowd, time = Crowd(gate), asyncio.get_running_loop().time
            for name in map(str, range(5)):
                crowd.send(name, trunk="twilio")
                await asyncio.sleep(1.0)
            crowd.send(*map(str, range(5, 11)), trunk="twilio")
            await settle()
            now, promised = time(), known(gate.eta(trunk="twilio")).p90
            crowd.send("next", trunk="twilio")
            await asyncio.sleep(2 * trunk.span)
            assert crowd.times["next"] - now == pytest.approx(promised)
            await crowd.disperse()

    run(main())


def test_a_reading_that_is_awaited_is_the_least_that_it_takes() -> None:
    """A caller would be promised a slot before anybody may have one."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), min_interval=30.0, ttl=31.0, max_age=99) as gate:
            crowd = await busy(gate)
            crowd.permits["None 20"].refused()
            decision = gate.explain()
            assert decision.constraint == "snapshot spent"
            assert decision.lifts_in is not None
            assert known(decision.eta).p50 >= decision.lifts_in > 0.0
            assert f"next reading in {decision.lifts_in:.1f} s" in str(decision)
            await crowd.disperse()

    run(main())


def test_the_statistics_have_it_by_lane_and_as_plain_data() -> None:
    """A dashboard would have to ask lane by lane, and translate."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("bulk")) as gate:
            crowd = await busy(gate, "bulk")
            said = json.loads(json.dumps(asdict(gate.statistics())))["eta"]
            assert said["bulk"]["p50"] == known(gate.eta("bulk")).p50
            assert said.keys() == {"bulk", "default"}
            await crowd.disperse()

    run(main())


def test_a_pause_is_foreseen_by_nobody_and_slows_nobody_down_afterwards() -> None:
    """After a pause for lunch every caller would be told to wait until the evening."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = await busy(gate)
            before = known(gate.eta())
            gate.pause()
            assert (gate.eta(), gate.explain().lifts_in) == (None, None)
            await asyncio.sleep(3600.0)
            gate.resume()
            assert known(gate.eta()).p50 == pytest.approx(before.p50, rel=0.05)
            await crowd.disperse()

    run(main())
