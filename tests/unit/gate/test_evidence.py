"""Evidence of what became of a call, from the caller and from anywhere else."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from callguard import Gate
from callguard.ledger import MemoryLedger
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle

FACTS = ("placed", "answered", "ended", "cancel")


@pytest.mark.parametrize(
    "said", [said for length in range(4) for said in itertools.product(FACTS, repeat=length)]
)
@pytest.mark.parametrize("leave_after", [0, 1, 2, 3])
def test_facts_decide_and_not_in_which_order_they_come(
    said: tuple[str, ...], leave_after: int
) -> None:
    """Evidence out of order would lower the usage below the truth, or hold a slot for ever."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            admission = gate.admit()
            permit = await admission.__aenter__()
            for word in said[:leave_after]:
                getattr(permit, word)()
            await admission.__aexit__(None, None, None)
            for word in said[leave_after:]:
                getattr(permit, word)()
            dialled = "placed" in said or "answered" in said
            held = "ended" not in said and (dialled or "cancel" not in said)
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, int(held))

    run(main())


DELIVERIES = ("started", "ended", "bound")


@pytest.mark.parametrize(
    "order",
    [order for length in range(1, 5) for order in itertools.product(DELIVERIES, repeat=length)],
)
def test_deliveries_in_any_order_and_number_end_in_the_same_ledger(order: tuple[str, ...]) -> None:
    """A delivery that is doubled, late, early or out of order would leave another usage."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher, counted_after=1000.0, counter_lag=2.0) as gate:
            async with gate.admit() as permit:
                permit.placed()
            for event in order:
                if event == "started":
                    gate.note_answered("call_1")
                elif event == "ended":
                    gate.note_ended("call_1")
                else:
                    permit.placed("call_1")
            bound = "bound" in order
            assert gate.statistics().usage.uncounted == int(not (bound and "ended" in order))
            await asyncio.sleep(5.0)
            async with gate.try_admit() as other:
                other.cancel()
            await asyncio.sleep(1.0)
            assert gate.statistics().usage.uncounted == int(
                not bound or order == ("bound",) * len(order)
            )

    run(main())


def test_an_answered_call_is_seen_by_the_next_reading_after_the_counters_lag() -> None:
    """A call that was answered would be counted twice for as long as it might still ring."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1, current=0)
        async with opened(fetcher, counted_after=32.0, counter_lag=2.0) as gate:
            loop = asyncio.get_running_loop()
            async with gate.admit() as permit:
                permit.placed("call_1")
            await asyncio.sleep(5.0)
            gate.note_answered("call_1")
            answered_at = loop.time()
            async with gate:
                assert answered_at + 2.0 < fetcher.asked[-1] <= answered_at + 3.1

    run(main())


def test_an_answer_never_makes_a_call_uncounted_for_longer() -> None:
    """Where ringing calls are counted, evidence that comes late would waste the slot."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, counted_after=2.0, counter_lag=2.0) as gate:
            loop = asyncio.get_running_loop()
            async with gate.admit() as permit:
                permit.placed("call_1")
            placed_at = loop.time()
            await asyncio.sleep(1.9)
            gate.note_answered("call_1")
            async with gate:
                assert loop.time() <= placed_at + 3.1

    run(main())


def test_a_call_that_is_over_gives_its_slot_to_the_next_at_once() -> None:
    """A slot would stay empty although it is known to be free."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), counted_after=1000.0) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next")
            await settle()
            gate.note_ended("call_1")
            await settle()
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_an_end_that_is_told_before_the_dial_returned_is_remembered() -> None:
    """`call_ended` overtakes the answer to the POST, and the slot would be held for nothing."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), counted_after=1000.0) as gate:
            async with gate.admit() as permit:
                gate.note_ended("call_1")
                gate.note_answered("call_1")
                permit.placed("call_1")
                assert gate.statistics().usage.total == 0

    run(main())


def test_an_end_elsewhere_brings_the_next_reading_forward() -> None:
    """Room that others left would be found a whole `ttl` late."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, current=5)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(0.5)
            fetcher.answer(limit=5, current=4)
            gate.note_ended("call_of_somebody_else")
            await settle()
            assert crowd.arrived == ["a"]
            assert fetcher.asked[-1] == pytest.approx(0.5)
            await crowd.disperse()

    run(main())


def test_a_beginning_elsewhere_costs_no_reading() -> None:
    """Every call that others begin would be asked about, though it can only take room."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, current=5)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(0.5)
            gate.note_answered("call_of_somebody_else")
            await settle()
            assert len(fetcher.asked) == 1
            await crowd.disperse()

    run(main())


def test_an_end_while_a_reading_is_under_way_asks_for_one_more() -> None:
    """A reading that began before the end would be the last word for a whole `ttl`."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, current=5, latency=0.3)
        async with opened(fetcher, ttl=10.0) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(10.0)  # the second reading is under way
            fetcher.answer(limit=5, current=4)
            gate.note_ended("call_of_somebody_else")
            await asyncio.sleep(0.7)
            assert crowd.arrived == ["a"]
            await crowd.disperse()

    run(main())


def test_a_storm_of_ends_costs_one_reading_each_min_interval_and_bounded_memory() -> None:
    """Deliveries would become requests, or be remembered without bound."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5, current=5)
        async with opened(fetcher, min_interval=0.25) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            for second in range(5):
                for number in range(10):
                    for each in range(500):
                        gate.note_ended(f"call_{second}_{number}_{each}")
                    await asyncio.sleep(0.1)
            assert len(fetcher.asked) <= 1 + 5.0 / 0.25 + 1
            assert isinstance(gate._parts.ledger, MemoryLedger)
            assert len(gate._parts.ledger._early) <= 10_000
            await crowd.disperse()

    run(main())


def test_a_call_that_was_accepted_and_then_refused_for_want_of_room_spends_the_reading() -> None:
    """A provider that refuses after its 201 would not be believed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            gate.note_ended("call_1", refused=True)
            assert gate.statistics().usage.total == 0
            assert gate.explain().constraint == "snapshot spent"

    run(main())


def test_an_end_in_the_block_is_no_refusal_whatever_leaves_it() -> None:
    """A 429 after a call that is over would spend the reading."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(Refusal):
                async with gate.admit() as permit:
                    permit.ended()
                    raise Refusal
            assert gate.explain().admitted
            assert gate.statistics().usage.total == 0

    run(main())


def test_evidence_after_the_gate_was_closed_does_no_harm() -> None:
    """A late webhook would fail in the handler of a program that is shutting down."""

    async def main() -> Gate:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
        gate.note_answered("call_1")
        gate.note_ended("call_1")
        permit.ended()
        return gate

    assert run(main()).statistics().usage.total == 0
