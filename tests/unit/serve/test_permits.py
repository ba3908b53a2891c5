"""Permits that clients hold: found by key, renewed, reported on; without HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from callguard import AdmissionTimeout, Gate, GateClosed, GateDraining, NoHeadroom, UsageError
from callguard.serve.held import Asked, HeldPermit, Report
from callguard.serve.permit_errors import (
    KeyReused,
    PermitConflict,
    PermitExpired,
    PermitUnknown,
    TooManyWaiting,
)
from callguard.serve.permits import AT_ONCE, Permits
from callguard.testing import ScriptedSource
from tests.support.virtual_time import jumping, run
from tests.unit.gate.support import opened, settle

PATIENT = Asked()


def state_of(held: HeldPermit) -> str:
    return held.state


@asynccontextmanager
async def held_at(limit: int, *, most_waiting: int = 100) -> AsyncIterator[tuple[Gate, Permits]]:
    async with opened(ScriptedSource(limit)) as gate:
        permits = Permits(gate, most_waiting=most_waiting)
        try:
            yield gate, permits
        finally:
            await permits.aclose()


@jumping
async def test_a_lost_answer_is_got_again_by_the_key() -> None:
    """A client that asks again after a lost answer would hold two slots, and leak one."""
    async with held_at(1) as (gate, permits):
        lost = permits.ask(PATIENT, "lead 1")
        await permits.first(lost)
        again = permits.ask(PATIENT, "lead 1")
        assert again is lost
        assert state_of(again) == "dialling"
        assert gate.statistics().usage.total == 1
        assert permits.ask(PATIENT, "lead 2") is not lost
        assert permits.ask(PATIENT) is not permits.ask(PATIENT)


@jumping
async def test_a_key_is_for_one_request() -> None:
    """A client would get a permit for another lane than it asked for."""
    async with held_at(1) as (_, permits):
        permits.ask(PATIENT, "lead 1")
        with pytest.raises(KeyReused, match=r"now for the default lane, trunk .default. and 5 s"):
            permits.ask(Asked(wait=5.0), "lead 1")


@jumping
async def test_a_permit_that_waits_is_admitted_during_a_poll() -> None:
    """A client would poll again and again though its slot had come."""
    async with held_at(1) as (_, permits):
        first, second = permits.ask(PATIENT), permits.ask(PATIENT)
        await permits.first(second)
        assert (state_of(first), state_of(second)) == ("dialling", "waiting")
        assert permits.position(second) == 1
        asyncio.get_running_loop().call_later(7.0, permits.cancel, first)
        began = asyncio.get_running_loop().time()
        await permits.poll(second, 25.0)
        assert state_of(second) == "dialling"
        assert asyncio.get_running_loop().time() - began == pytest.approx(7.0)
        assert permits.position(second) is None


@jumping
async def test_a_poll_is_not_longer_than_the_server_allows() -> None:
    """A client could keep a connection open for as long as it likes."""
    async with held_at(0) as (_, permits):
        began = asyncio.get_running_loop().time()
        held = permits.ask(PATIENT)
        await permits.poll(held, 1e9)
        assert asyncio.get_running_loop().time() - began == pytest.approx(25.0)
        assert state_of(held) == "waiting"


@jumping
async def test_a_client_that_is_gone_leaves_the_queue() -> None:
    """The queue would fill with clients that nobody hears of again, and slots would go to them."""
    async with held_at(0) as (gate, permits):
        gone, there = permits.ask(PATIENT, "gone"), permits.ask(PATIENT)
        for _ in range(4):
            await permits.poll(there, 20.0)
        assert (state_of(gone), state_of(there)) == ("expired", "waiting")
        assert gate.statistics().waiting["default"] == 1
        with pytest.raises(PermitExpired, match="not renewed for 60 s"):
            await permits.poll(gone, 0.0)
        fresh = permits.ask(PATIENT, "gone")
        assert fresh is not gone
        assert permits.find(gone.id) is fresh


@jumping
async def test_a_client_killed_in_its_poll_leaves_the_queue_in_the_end() -> None:
    """A request that was cancelled would renew its permit for ever, or not at all."""
    async with held_at(0) as (gate, permits):
        held = permits.ask(PATIENT)
        poll = asyncio.create_task(permits.poll(held, 25.0))
        await asyncio.sleep(10.0)
        poll.cancel()
        await asyncio.sleep(59.0)
        assert state_of(held) == "waiting"
        await asyncio.sleep(2.0)
        assert state_of(held) == "expired"
        assert gate.statistics().waiting["default"] == 0


@jumping
async def test_nothing_expires_while_two_polls_wait_for_it() -> None:
    """The first of two polls to end would let the permit of the other one expire."""
    async with opened(ScriptedSource(0)) as gate:
        permits = Permits(gate, longest_poll=100.0)
        held = permits.ask(PATIENT)
        await asyncio.gather(permits.poll(held, 1.0), permits.poll(held, 90.0))
        assert state_of(held) == "waiting"
        await permits.aclose()


@jumping
async def test_an_admitted_permit_that_is_not_renewed_counts_as_placed() -> None:
    """The slot of a client that dialled and died would be given to another call."""
    async with held_at(1) as (gate, permits):
        held = permits.ask(PATIENT)
        await permits.first(held)
        assert permits.expires_in(held) == pytest.approx(60.0)
        await asyncio.sleep(40.0)
        await permits.poll(held, 25.0)
        await asyncio.sleep(40.0)
        assert state_of(held) == "dialling"
        assert permits.expires_in(held) == pytest.approx(20.0)
        await asyncio.sleep(21.0)
        assert state_of(held) == "placed"
        assert gate.statistics().usage.total == 1
        with pytest.raises(PermitConflict, match="counts as placed, because it was not renewed"):
            permits.cancel(held)
        permits.report(held, "refused", status=429)
        assert state_of(held) == "refused"


@pytest.mark.parametrize("turns", range(6))
def test_cancelling_races_with_the_grant_and_loses_no_slot(turns: int) -> None:
    """A slot that was granted to a permit as it was cancelled would be nobody's."""

    async def main() -> None:
        async with held_at(1) as (gate, permits):
            holder, victim, behind = (permits.ask(PATIENT) for _ in range(3))
            await permits.first(behind)
            permits.cancel(holder)  # grants the slot to the victim
            for _ in range(turns):
                await asyncio.sleep(0)
            permits.cancel(victim)
            permits.cancel(victim)  # once more, as after a lost answer
            await settle()
            assert state_of(victim) == "cancelled"
            assert state_of(behind) == "dialling"
            assert gate.statistics().usage.total == 1
            assert permits.live == 1

    run(main())


@pytest.mark.parametrize(
    ("before", "report", "after"),
    [
        (["placed"], "placed", "placed"),
        (["placed"], "answered", "placed"),
        (["placed", "answered"], "ended", "ended"),
        ([], "answered", "placed"),
        ([], "ended", "ended"),
        (["ended"], "ended", "ended"),
        (["ended"], "placed", "ended"),
        (["ended"], "answered", "ended"),
        ([], "refused", "refused"),
        (["refused"], "refused", "refused"),
        (["placed"], "refused", "refused"),
        (["cancelled"], "placed", "placed"),
        (["refused"], "placed", "placed"),
        (["cancelled"], "cancelled", "cancelled"),
    ],
)
def test_reports_may_be_repeated_and_come_late(before: list[str], report: str, after: str) -> None:
    """A client that repeats a report after a lost answer would get an error, or count twice."""

    async def main() -> None:
        async with held_at(1) as (gate, permits):
            held = permits.ask(PATIENT)
            await permits.first(held)
            for word in (*before, report, report):
                if word == "cancelled":
                    permits.cancel(held)
                else:
                    permits.report(held, cast(Report, word))
            assert state_of(held) == after
            assert permits.find(held.id) is held
            assert gate.statistics().usage.total == (after == "placed")

    run(main())


@pytest.mark.parametrize(
    ("before", "report", "why"),
    [
        ("waiting", "placed", "is still waiting in the queue"),
        ("waiting", "ended", "is still waiting in the queue"),
        ("ended", "refused", "is ended"),
        ("placed", "cancelled", "is placed"),
        ("ended", "cancelled", "is ended"),
        ("refused", "cancelled", "is refused"),
        ("left", "placed", "was never admitted: it was cancelled"),
        ("expired", "placed", "was never admitted: it left the queue"),
        ("denied", "placed", "was never admitted: timed out in the queue"),
    ],
)
def test_a_wrong_order_names_the_state(before: str, report: str, why: str) -> None:
    """A client with a defect would get no word of it, or the gate a report that can't be true."""

    async def main() -> None:
        async with held_at(0 if before in {"waiting", "left", "expired", "denied"} else 1) as (
            _,
            permits,
        ):
            held = permits.ask(Asked(wait=5.0) if before == "denied" else PATIENT)
            await asyncio.sleep(61.0 if before in {"expired", "denied"} else 1.0)
            if before == "left":
                permits.cancel(held)
            elif before in {"placed", "ended", "refused"}:
                permits.report(held, cast(Report, before))
            with pytest.raises(PermitConflict, match=why):
                if report == "cancelled":
                    permits.cancel(held)
                else:
                    permits.report(held, cast(Report, report))

    run(main())


@jumping
async def test_one_permit_is_for_one_call() -> None:
    """A second call under one permit would be counted by nobody."""
    async with held_at(1) as (_, permits):
        held = permits.ask(PATIENT)
        await permits.first(held)
        permits.report(held, "placed", "call_1")
        permits.report(held, "placed", "call_1")
        with pytest.raises(UsageError, match="call_1"):
            permits.report(held, "placed", "call_2")


@jumping
async def test_without_a_wait_the_answer_is_final() -> None:
    """A client that doesn't want to wait would be queued."""
    async with held_at(1) as (gate, permits):
        await permits.first(permits.ask(Asked(wait=0.0)))
        denied = permits.ask(Asked(wait=0.0), "lead 2")
        with pytest.raises(NoHeadroom, match="1 of 1 in use"):
            await permits.first(denied)
        assert gate.statistics().waiting["default"] == 0
        assert permits.ask(Asked(wait=0.0), "lead 2") is not denied


@jumping
async def test_a_wait_that_is_over_denies_every_poll() -> None:
    """A client would wait for longer than it said, or poll a permit that nobody will admit."""
    async with held_at(0) as (_, permits):
        held = permits.ask(Asked(wait=3.0))
        for _ in range(2):
            with pytest.raises(AdmissionTimeout):
                await permits.poll(held, 25.0)
        assert state_of(held) == "denied"


@jumping
async def test_a_full_server_queues_nobody_more() -> None:
    """Clients could use up the server's memory."""
    async with held_at(0, most_waiting=2) as (_, permits):
        kept = permits.ask(PATIENT, "kept")
        permits.ask(PATIENT)
        with pytest.raises(TooManyWaiting, match="2 permits wait"):
            permits.ask(PATIENT)
        assert permits.ask(PATIENT, "kept") is kept
        permits.cancel(kept)
        await settle()
        permits.ask(PATIENT)


@jumping
async def test_draining_tells_the_polls_at_once() -> None:
    """Clients would wait for a gate that admits nobody any more."""
    async with held_at(1) as (gate, permits):
        dialling, waiting = permits.ask(PATIENT), permits.ask(PATIENT)
        poll = asyncio.create_task(permits.poll(waiting, 25.0))
        await asyncio.sleep(1.0)
        drain = asyncio.create_task(gate.drain())
        with pytest.raises(GateDraining):
            await poll
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        with pytest.raises(GateDraining):
            await permits.first(permits.ask(PATIENT))
        permits.report(dialling, "ended")
        await drain


@jumping
async def test_closing_ends_the_waits_and_gives_no_slot_back() -> None:
    """A client that dials while the server stops would dial without a slot."""
    async with opened(ScriptedSource(1)) as gate:
        permits = Permits(gate)
        dialling, waiting = permits.ask(PATIENT), permits.ask(PATIENT)
        poll = asyncio.create_task(permits.poll(waiting, 25.0))
        await asyncio.sleep(AT_ONCE)
        await permits.aclose()
        with pytest.raises(GateClosed, match="the server stops"):
            await poll
        assert state_of(dialling) == "placed"
        assert gate.statistics().usage.total == 1
        assert permits.live == 0
        assert len(asyncio.all_tasks()) == 1


@jumping
async def test_an_idle_server_has_no_task_and_no_timer() -> None:
    """Permits that are over, or admitted, would each cost a task."""
    async with held_at(3) as (_, permits):
        tasks = len(asyncio.all_tasks())
        held = [permits.ask(PATIENT) for _ in range(3)]
        await settle()
        assert len(asyncio.all_tasks()) == tasks
        for each in held:
            permits.report(each, "placed")
        assert permits.live == 0
        assert permits.open
        assert permits.expires_in(held[0]) is None
        for each in held:
            permits.report(each, "ended")
        assert not permits.open


@jumping
async def test_a_permit_that_was_forgotten_or_never_was_is_unknown() -> None:
    """A client would take a permit of before a restart for one that holds nothing."""
    async with held_at(1) as (_, permits):
        held = permits.ask(PATIENT)
        await permits.first(held)
        permits.report(held, "ended")
        await asyncio.sleep(3600.0)
        assert permits.find(held.id) is held
        await asyncio.sleep(6000.0)
        for unknown in (held.id, "guessed"):
            with pytest.raises(PermitUnknown, match="counts as placed"):
                permits.find(unknown)
