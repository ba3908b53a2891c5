"""What is paused admits nobody, and everything else goes on."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

import pytest

from callguard import (
    AdmissionTimeout,
    Gate,
    GateClosed,
    GateDraining,
    Lane,
    NoHeadroom,
    Trunk,
    UsageError,
)
from callguard.events import Admitted, Event, Paused, Resumed
from callguard.ledger import Claim
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle

LANES = Lane("bulk", priority=-1), Lane("urgent")

TRUNKS = [Trunk("twilio", cps=1000.0), Trunk("telnyx", cps=1000.0), Trunk("unrated", cps=None)]

EVERYBODY = {
    (lane, trunk): f"{lane} on {trunk}"
    for lane in ("bulk", "urgent")
    for trunk in ("twilio", "unrated", "default", None)
}

ON_BULK = {("bulk", "twilio"), ("bulk", "unrated"), ("bulk", "default"), ("bulk", None)}


async def _come(crowd: Crowd) -> None:
    """Send a caller of each lane and trunk."""
    for (lane, trunk), name in EVERYBODY.items():
        crowd.send(name, lane=lane, trunk=trunk)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("scope", "kept_out"),
    [
        ((), set(EVERYBODY)),
        (("bulk",), ON_BULK),
        ((None, "twilio"), {("bulk", "twilio"), ("urgent", "twilio")}),
        (("bulk", "twilio"), {("bulk", "twilio")}),
        ((LANES[0], TRUNKS[0]), {("bulk", "twilio")}),
        ((None, "unrated"), {("bulk", "unrated"), ("urgent", "unrated")}),
        ((None, "default"), {("bulk", "default"), ("urgent", "default")}),
        (("bulk", "unrated"), {("bulk", "unrated")}),
        ((None, "telnyx"), set()),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_pause_keeps_out_whom_it_concerns_and_nobody_else(
    scope: tuple[Any, ...], kept_out: set[tuple[str, str | None]], known: bool
) -> None:
    """A carrier in trouble would be dialled on, or trouble with one would stop the others."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20), *LANES, trunks=TRUNKS) as gate:
            if known:
                for lane, trunk in EVERYBODY:
                    gate.explain(lane, trunk=trunk)
            gate.pause(*scope)
            crowd = Crowd(gate)
            await _come(crowd)
            waiting = {EVERYBODY[each] for each in kept_out}
            assert set(crowd.arrived) == set(EVERYBODY.values()) - waiting
            await asyncio.sleep(60)  # through snapshots, which bring new ceilings
            assert sum(gate.statistics().waiting.values()) == len(kept_out)
            assert gate.resume(*scope)
            await asyncio.sleep(1)
            assert set(crowd.arrived) == set(EVERYBODY.values())
            await crowd.disperse()

    run(main())


def test_who_waits_goes_on_in_the_old_order_when_it_is_resumed() -> None:
    """A pause would cost those who have waited longest their place."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("a", default=True)) as gate:
            crowd = Crowd(gate)
            crowd.send(*"abc")
            await settle()
            gate.pause()
            crowd.send("d")
            crowd.dismiss("a")
            await asyncio.sleep(600)
            assert crowd.arrived == ["a"]
            gate.resume()
            for name in "bcd":
                await asyncio.sleep(5)
                crowd.dismiss(name)
            assert crowd.arrived == list("abcd")
            await crowd.disperse()

    run(main())


def test_nobody_is_read_for_who_waits_in_a_pause_and_it_ends_with_a_reading() -> None:
    """The count would be read every second for hours, or the pause would end with an old one."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            gate.pause()
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(5)
            asked = len(fetcher.asked)
            await asyncio.sleep(3600)
            assert len(fetcher.asked) == asked
            gate.resume()
            await asyncio.sleep(0.5)
            assert crowd.arrived == ["a"]
            await crowd.disperse()

    run(main())


def test_it_is_said_who_has_paused_since_when_and_why() -> None:
    """Whoever looks after a dialer that stands still would look for a fault that is none."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1, current=1), *LANES, trunks=TRUNKS) as gate:
            assert gate.statistics().pauses == []
            gate.pause(trunk="twilio", reason="carrier trouble")
            await asyncio.sleep(720)
            gate.pause("bulk")
            decision = gate.explain("bulk", trunk="twilio")
            assert decision.pause is not None
            assert (decision.admitted, decision.constraint) == (False, "paused")
            assert (decision.pause.lane, decision.pause.trunk) == ("bulk", None)
            said = str(gate.explain("urgent", trunk="twilio"))
            wanted = (
                rf"denied: trunk 'twilio' paused from \S+:{os.getpid()} 12 min ago "
                r"\(\"carrier trouble\"\) \(.*\); until it is resumed"
            )
            assert re.fullmatch(wanted, said), said
            assert gate.explain("urgent", trunk=None).pause is None
            pauses = gate.statistics().pauses
            assert [(each.lane, each.trunk, each.seconds) for each in pauses] == [
                (None, "twilio", 720.0),
                ("bulk", None, 0.0),
            ]

    run(main())


@pytest.mark.parametrize(
    ("seconds", "ago"),
    [(0.0, "0 s"), (99.0, "99 s"), (110.0, "2 min"), (5400.0, "90 min"), (7200.0, "2 h")],
)
def test_how_long_ago_is_said_in_fitting_units(seconds: float, ago: str) -> None:
    """Seconds since yesterday tell nobody anything."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), *LANES, trunks=TRUNKS) as gate:
            gate.pause("bulk", "twilio")
            await asyncio.sleep(seconds)
            said = str(gate.explain("bulk", trunk="twilio"))
            assert "lane 'bulk' on trunk 'twilio' paused from" in said
            assert f" {ago} ago (" in said

    run(main())


def test_who_does_not_wait_or_no_longer_is_told_of_the_pause() -> None:
    """The error would say that there is no room, and when there may be."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            gate.pause(reason="maintenance")
            for attempt in (gate.try_admit(), gate.admit(timeout=1.0), gate.admit(timeout=0)):
                with pytest.raises((NoHeadroom, AdmissionTimeout), match="maintenance") as caught:
                    async with attempt:
                        pass
                assert caught.value.retry_after is None
            with pytest.raises(NoHeadroom, match="maintenance"):
                async with gate.try_admit():
                    pass
            gate.resume()
            async with gate.try_admit() as permit:
                permit.cancel()

    run(main())


def test_a_slot_that_was_under_way_as_the_queue_was_paused_is_given_back() -> None:
    """A call would go out after the pause, or the slot would be nobody's for good."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            gate.pause()
            crowd = Crowd(gate)
            crowd.send("a")
            await settle()
            parts = gate._parts
            number = parts.ledger.acquire(5, asyncio.get_running_loop().time())
            parts.admissions.grant(Claim("default", 0, 5, 1, 0.0), number, 1)
            await settle()
            assert crowd.arrived == []
            assert gate.statistics().usage.dialling == 0
            await crowd.disperse()

    run(main())


def test_a_shared_ledger_knows_nothing_of_trunks_without_a_rate() -> None:
    """Its slots would go to callers of a paused trunk, or to late ones before early ones."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0), trunks=TRUNKS) as gate:
            crowd = Crowd(gate)
            crowd.send("a", trunk="unrated")
            crowd.send("b", trunk=None)
            crowd.send("c", trunk="unrated")
            crowd.send("d")
            await settle()
            gate.pause(trunk="default")
            queues, admissions = gate._parts.admissions.queues, gate._parts.admissions
            [claim] = queues.claims()
            assert (claim.key, claim.callers) == (("default", None), 3)
            for _ in range(3):
                number = gate._parts.ledger.acquire(5, asyncio.get_running_loop().time())
                admissions.grant(claim, number, 1)
            await settle()
            assert crowd.arrived == ["a", "b", "c"]
            await crowd.disperse()

    run(main())


def test_nobody_foresees_when_a_pause_ends_and_no_one_waits_for_who_is_paused() -> None:
    """A caller would be told a time at which it won't go, or of callers ahead that don't move."""

    async def main() -> None:
        trunks = [Trunk("twilio", cps=1.0)]
        async with opened(ScriptedSource(limit=5), *LANES, trunks=trunks) as gate:
            gate.pause("bulk")
            crowd = Crowd(gate)
            crowd.send(*"abc", lane="bulk", trunk="twilio")
            await settle()
            assert gate.eta("bulk", trunk="twilio") is None
            foreseen = gate.eta("urgent", trunk="twilio")
            assert foreseen is not None
            assert gate.explain("urgent", trunk="twilio").admitted
            assert foreseen.p90 == 0.0
            await crowd.disperse()

    run(main())


def test_each_pause_is_lifted_by_its_own_name() -> None:
    """Whoever resumes all would resume a lane that was paused for a reason of its own."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), *LANES) as gate:
            gate.pause("bulk")
            gate.pause()
            assert not gate.resume("urgent")
            assert gate.resume()
            assert not gate.resume()
            assert gate.explain("bulk").constraint == "paused"
            assert gate.explain("urgent").admitted
            assert gate.resume("bulk")
            assert gate.explain("bulk").admitted

    run(main())


def test_the_listener_hears_of_it_when_those_who_waited_are_admitted() -> None:
    """Whomever a listener sends to the gate at the end of a pause would overtake who waited."""

    async def main() -> None:
        events: list[Event] = []
        async with opened(ScriptedSource(limit=5), *LANES, listener=events.append) as gate:
            gate.pause("bulk", reason="lunch")
            gate.pause("bulk", reason="long lunch")
            crowd = Crowd(gate)
            crowd.send("a", lane="bulk")
            await settle()
            gate.resume("bulk")
            gate.resume("bulk")
            told = [each for each in events if isinstance(each, Paused | Admitted | Resumed)]
            assert [type(each) for each in told] == [Paused, Paused, Admitted, Resumed]
            assert isinstance(told[1], Paused)
            assert (told[1].lane, told[1].trunk, told[1].reason) == ("bulk", None, "long lunch")
            assert told[1].by.endswith(f":{os.getpid()}")
            await crowd.disperse()

    run(main())


@pytest.mark.parametrize(
    ("arguments", "error", "advice"),
    [
        (("builk",), UsageError, "no lane 'builk'"),
        ((None, "twillio"), UsageError, "no trunk 'twillio'"),
        ((5,), TypeError, "lane must be"),
        ((None, 5), TypeError, "trunk must be"),
    ],
)
def test_what_can_not_be_paused_is_refused_by_name(
    arguments: tuple[Any, ...], error: type[Exception], advice: str
) -> None:
    """A pause that was misspelt would stop nothing, and nobody would know."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), *LANES, trunks=TRUNKS) as gate:
            for say in (gate.pause, gate.resume):
                with pytest.raises(error, match=advice):
                    say(*arguments)
            for reason in (5, None, "\ud800"):
                with pytest.raises((TypeError, ValueError), match="reason must be"):
                    gate.pause(reason=reason)  # type: ignore[arg-type]
            assert gate.statistics().pauses == []

    run(main())


def test_a_gate_that_is_no_more_is_not_paused() -> None:
    """Whoever pauses a gate that was closed would believe that another stands still."""

    async def main() -> None:
        async def in_thread(gate: Gate) -> None:
            with pytest.raises(UsageError, match="another event loop"):
                gate.pause()

        async with opened(ScriptedSource(limit=5)) as gate:
            await asyncio.to_thread(asyncio.run, in_thread(gate))
            await gate.drain()
            with pytest.raises(GateDraining):
                gate.pause()
        with pytest.raises(GateClosed):
            gate.resume()

    run(main())
