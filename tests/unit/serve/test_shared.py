"""What is seen of a ledger that several processes share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard import LedgerUnavailable
from callguard.decision import Pause
from callguard.ledger.redis.holders import Contents, LedgerPermit, Waiting
from callguard.ledger.redis.premises import LedgerPremise
from callguard.ledger.redis.trunks import LedgerTrunk
from callguard.limits import Limits, Snapshot
from callguard.serve.journal import Journal
from callguard.serve.shared import LedgerLook, overview_of_ledger, shared_overview
from callguard.testing import ScriptedSource
from tests.support.virtual_time import jumping
from tests.unit.gate.support import opened

CONTENTS = Contents(
    now=1000.0,
    known=True,
    workers=(),
    permits=(
        LedgerPermit("a-1", "web:1", "bulk", 12.0, "uncounted", counted_in=-0.5),
        LedgerPermit("b-7", "web:2", "late", 0.1, "dialling", counted_in=None),
    ),
    waiting=(Waiting("web:1", "default", 1, 40, 3.0), Waiting("web:2", "default", 1, 2, 3.0)),
    snapshot=Snapshot(Limits(14, 20), 999.6, 999.7),
    spent_until=0.0,
    lost_until=0.0,
    trunks=(LedgerTrunk("default", 1.0, None, 0.4, pushed_back=False),),
    premises=(LedgerPremise("counter_lag", 2.0, 3.2, "late; set more", "web:2", 61.4),),
)


class Server:
    """A ledger's server with given contents."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.looks = 0
        self.is_away = False

    async def look(self, workspace: str) -> Contents:
        self.looks += 1
        if self.is_away:
            raise LedgerUnavailable("no answer")
        return self.contents


@jumping
async def test_the_calls_and_callers_of_all_processes_are_seen() -> None:
    """An operator would look at one process of many, and take it for the workspace."""
    journal, server = Journal(), Server(CONTENTS)
    look = LedgerLook(server, "")  # type: ignore[arg-type]
    async with opened(ScriptedSource(20, 3), listener=journal, cps=1.0) as gate:
        seen = await shared_overview(gate, journal, look)
        assert (seen.limits, seen.usage.total) == (gate.explain().limits, 3)  # which is newer
        assert [(each.id, each.worker) for each in seen.holders] == [
            ("a-1", "web:1"),
            ("b-7", "web:2"),
        ]
        assert (seen.lanes[0].waiting, seen.trunks[0].due_in) == (42, 0.4)
        assert [(each.name, each.times) for each in seen.premises] == [("counter_lag", None)]
        await shared_overview(gate, journal, look)
        assert server.looks == 1


@jumping
async def test_while_the_server_is_away_this_process_is_seen() -> None:
    """The page would fail when it is needed most."""
    journal, server = Journal(), Server(CONTENTS)
    server.is_away = True
    look = LedgerLook(server, "")  # type: ignore[arg-type]
    async with opened(ScriptedSource(20, 3), listener=journal) as gate:
        seen = await shared_overview(gate, journal, look)
        assert (seen.usage.total, seen.holders, seen.lanes[0].waiting) == (3, (), 0)


def test_a_ledger_is_seen_without_a_gate() -> None:
    """`callguard top --ledger` would show nothing, or figures that nobody knows."""
    seen = overview_of_ledger(CONTENTS, "f00", 5.0)
    assert (seen.workspace, seen.gate, seen.at) == ("f00", "", 5.0)
    assert seen.snapshot_age == pytest.approx(0.4)
    assert [(each.name, each.waiting, each.admits) for each in seen.lanes] == [
        ("default", 42, False),
        ("bulk", 0, True),
        ("late", 0, True),
    ]
    in_use = "16 of 20 in use (14 reported 0.4 s ago, 1 dialling, 1 uncounted)"
    assert [each.sentence for each in seen.lanes[:2]] == [
        f"denied so far: the first has waited for 3.0 s; {in_use}",
        f"admitted: {in_use}",
    ]
    assert (seen.lanes[0].dials_per_minute, seen.burst.dollars_today) == (None, None)


def test_what_is_paused_or_spent_admits_nobody() -> None:
    """An operator would wait for calls that nobody may place."""
    paused = replace(CONTENTS, pauses=(Pause("bulk", None, "web:1", 5.0, ""),))
    lanes = {lane.name: lane for lane in overview_of_ledger(paused, "f00", 5.0).lanes}
    assert (lanes["bulk"].paused, lanes["bulk"].admits) == (True, False)
    assert lanes["late"].admits
    spent = overview_of_ledger(replace(CONTENTS, spent_until=999.9), "f00", 5.0)
    assert not any(lane.admits for lane in spent.lanes)
    unread = overview_of_ledger(replace(CONTENTS, snapshot=None), "f00", 5.0)
    assert (unread.limits, unread.snapshot_age, unread.usage.total) == (None, None, None)
