"""Overviews made by hand, one for each state in which an operator may find a workspace.

The sentences are the gate's and the journal's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from callguard.decision import Decision, Outage, Pause, Usage, decide
from callguard.eta import Eta
from callguard.events import Ended, Placed, Resumed
from callguard.lanes import Lane
from callguard.limits import Limits, Snapshot
from callguard.serve.sentences import sentence
from callguard.serve.views import (
    Burst,
    Happening,
    Holder,
    HolderState,
    LaneView,
    Overview,
    Point,
    PremiseView,
    TrunkView,
)

__all__ = ["NOW", "STATES", "busy", "empty", "full", "hostile"]

NOW: Final = 1_774_540_800.0
"""Seconds since 1970: 2026-03-26 16:00:00 UTC."""

WORKSPACE: Final = "5f3c9a17e2b84d60"

GATE: Final = "0b7d"

URGENT, BULK = Lane("urgent", priority=-1, burst=6), Lane("bulk", reserve=2)

_OPERATOR: Final = "dialer-1 (process 4711)"

_SECONDS: Final = 600


def empty() -> Overview:
    """A gate that was just opened: nothing was read, nobody waits."""
    usage = Usage(None, 0, 0)
    return Overview(
        workspace=WORKSPACE,
        gate=GATE,
        at=NOW,
        draining=False,
        limits=None,
        usage=usage,
        snapshot_age=None,
        outage=None,
        lanes=(_lane(_decided(Lane("default"), usage, None)),),
        trunks=(TrunkView("default", 1.0, None, 0.0, 0, None, None, False),),
        holders=(),
        burst=Burst(None, 0, 0.0),
        pauses=(),
        premises=(),
        given_up=(),
        events=(),
        chart=(),
    )


def busy() -> Overview:
    """A campaign that runs well: calls on one lane fill its share, and a higher one has room."""
    usage = Usage(reported=13, dialling=1, uncounted=2, counted=9)
    limits = Limits(13, 20, 2, True, 26)
    return replace(
        empty(),
        limits=limits,
        usage=usage,
        snapshot_age=0.4,
        lanes=(
            _lane(_decided(URGENT, usage, limits), waits=(0.2, 0.9), rate=4.0),
            _lane(
                _decided(BULK, usage, limits, eta=Eta(49.0, 66.0)),
                waiting=12,
                waits=(47.1, 63.5),
                rate=16.0,
            ),
        ),
        trunks=(
            TrunkView("default", 1.0, None, 0.0, 15, None, None, False),
            TrunkView("twilio", 0.5, 10.0, 0.0, 5, 3, 10, False),
        ),
        holders=_holders(12, shared=False),
        burst=Burst(True, 0, 1.20),
        events=_events(),
        chart=_chart(
            20, 2, 26, lambda s: min(13, 8 + round(5 * math.sin(s / 70) + 2 * math.sin(s / 13)))
        ),
    )


def full() -> Overview:
    """A workspace at its limit, a premise that was seen to be wrong, and a refusal."""
    usage, limits, bulk = Usage(17, 1, 2), Limits(17, 20, 0, False, 0), Lane("bulk")
    wrong = (
        "the counter showed a call 7.4 s after it was answered; open the gate with counter_lag=8"
    )
    decision = replace(
        _decided(bulk, usage, limits, eta=Eta(40.0, 95.0)),
        premises=(f"counter_lag: {wrong}",),
        given_up=("ends_free_at_once",),
    )
    return replace(
        busy(),
        limits=limits,
        usage=usage,
        lanes=(_lane(decision, waiting=1834, waits=(412.0, 900.0), rate=31.0, refused=1),),
        trunks=(TrunkView("default", 5.0, None, 0.0, 31, None, None, False),),
        holders=_holders(15, shared=False),
        burst=Burst(False, 0, 0.0),
        premises=(PremiseView("counter_lag", 5.0, 7.4, 3, wrong),),
        given_up=decision.given_up,
        chart=_chart(20, 0, None, lambda s: min(17, 6 + s // 12)),
    )


def paused() -> Overview:
    """Everything is paused by hand, and a trunk besides."""
    pause = Pause(None, None, _OPERATOR, 95.0, "carrier trouble")
    return replace(
        busy(),
        lanes=tuple(replace(lane, paused=True) for lane in _lanes_of_busy(pause=pause)),
        trunks=tuple(replace(trunk, paused=True) for trunk in busy().trunks),
        pauses=(pause, Pause(None, "twilio", "dialer-2 (process 93)", 4000.0, "")),
    )


def outage() -> Overview:
    """The provider's counter can't be read any more."""
    failing = Outage("HTTP 503 from the provider", 34.2)
    return replace(
        busy(),
        snapshot_age=34.6,
        outage=str(failing),
        lanes=_lanes_of_busy(age=34.6, outage=failing),
        chart=tuple(
            point if point.at < NOW - 35 else replace(point, reported=None, others=None)
            for point in busy().chart
        ),
    )


def draining() -> Overview:
    """The gate admits nobody any more."""
    said = "the gate is draining, and admits nobody any more"
    lanes = tuple(
        replace(lane, sentence=said, admits=False, waiting=0, lifts_in=None, eta_p50=None)
        for lane in busy().lanes
    )
    return replace(busy(), draining=True, lanes=lanes)


def shared() -> Overview:
    """Many workers on one ledger, many lanes, far above the usual numbers."""
    limits, usage = Limits(250, 300, 10, True, 600), Usage(250, 4, 7)
    lanes = [Lane(f"region-{index}", reserve=5 * index) for index in range(5)]
    return replace(
        busy(),
        limits=limits,
        usage=usage,
        snapshot_age=0.8,
        lanes=tuple(
            _lane(
                _decided(lane, usage, limits, age=0.8),
                waiting=index,
                waits=(0.1, 1.5 + index),
                rate=70.0,
            )
            for index, lane in enumerate(lanes)
        ),
        trunks=(TrunkView("default", 10.0, None, 0.0, 350, 211, 240, False),),
        holders=_holders(211, shared=True),
        burst=Burst(True, 3, 1284.5),
        chart=_chart(300, 10, 600, lambda s: 200 + s // 12),
    )


def hostile() -> Overview:
    """Names and texts that would be code, or break out of where they stand."""
    nasty = "<script>alert('1')</script>\"'><img src=x onerror=alert(2)> in 3 s, 4.0 s ago"
    return replace(
        busy(),
        workspace="\"'><script>",
        gate=nasty,
        outage=nasty,
        lanes=(replace(busy().lanes[1], name=nasty, sentence=nasty),),
        trunks=(replace(busy().trunks[0], name=nasty),),
        holders=(Holder(nasty, nasty, nasty, "dialling", 1.0),),
        pauses=(Pause(nasty, nasty, nasty, 1.0, nasty),),
        premises=(PremiseView(nasty, 1.0, None, None, nasty),),
        given_up=(nasty,),
        events=(Happening(NOW, nasty, nasty),),
    )


STATES: Final[dict[str, Callable[[], Overview]]] = {
    "empty": empty,
    "busy": busy,
    "full": full,
    "paused": paused,
    "outage": outage,
    "draining": draining,
    "shared": shared,
}


def _decided(
    lane: Lane,
    usage: Usage,
    limits: Limits | None,
    *,
    age: float = 0.4,
    eta: Eta | None = None,
    pause: Pause | None = None,
    outage: Outage | None = None,
) -> Decision:
    """The gate's decision by a snapshot that is `age` seconds old."""
    snapshot = None if limits is None else Snapshot(limits, 0.0, 0.0)
    return decide(lane, usage, snapshot, now=age, max_age=10.0, eta=eta, pause=pause, outage=outage)


def _lanes_of_busy(
    *, age: float = 0.4, pause: Pause | None = None, outage: Outage | None = None
) -> tuple[LaneView, ...]:
    """The lanes of `busy`, where something keeps all callers out."""
    found = busy()
    decisions = (
        _decided(lane, found.usage, found.limits, age=age, pause=pause, outage=outage)
        for lane in (URGENT, BULK)
    )
    return tuple(
        replace(
            lane,
            sentence=str(decision),
            admits=decision.admitted,
            lifts_in=decision.lifts_in,
            eta_p50=None,
            eta_p90=None,
        )
        for decision, lane in zip(decisions, found.lanes, strict=True)
    )


def _lane(
    decision: Decision,
    waiting: int = 0,
    waits: tuple[float, float] | None = None,
    rate: float = 0.0,
    refused: int = 0,
) -> LaneView:
    eta, ceilings = decision.eta, decision.ceilings
    return LaneView(
        name=decision.lane.name,
        sentence=str(decision),
        admits=decision.admitted,
        lifts_in=decision.lifts_in,
        ceiling=None if ceilings is None else ceilings.highest,
        waiting=waiting,
        wait_p50=None if waits is None else waits[0],
        wait_p90=None if waits is None else waits[1],
        eta_p50=None if eta is None else eta.p50,
        eta_p90=None if eta is None else eta.p90,
        dials_per_minute=rate,
        refused=refused,
        paused=False,
    )


def _holders(count: int, *, shared: bool) -> tuple[Holder, ...]:
    return tuple(
        Holder(
            id=f"{index:032x}",
            worker=(None if index % 9 == 4 else f"dialer-{index % 4} (process {4711 + index % 4})")
            if shared
            else _OPERATOR,
            lane="urgent" if index % 5 == 2 else "bulk",
            state=_state(count - index),
            age=3.4 * (count - index) ** 1.7 + 0.2,
        )
        for index in range(count)
    )


def _state(younger: int) -> HolderState:
    return "dialling" if younger <= 1 else "uncounted" if younger <= 3 else "counted"


def _events() -> tuple[Happening, ...]:
    """Calls that begin and end at the rate of `busy`, and an order before; the newest first."""
    found = []
    for index in range(17):
        kind, latest = (Ended, 0x4F0F) if index % 2 else (Placed, 0x4F1E)
        event = kind(
            gate=GATE,
            workspace=WORKSPACE,
            permit_id=f"{GATE}-{index:04x}",
            lane="urgent" if index % 5 == 2 else "bulk",
            call_id=f"call_{latest - index // 2:04x}",
        )
        found.append(_happening(0.4 + 1.5 * index, event))
    resumed = Resumed(gate=GATE, workspace=WORKSPACE, lane=None, trunk=None, duration=95.0)
    return (*found, _happening(180.0, resumed))


def _happening(age: float, event: Placed | Ended | Resumed) -> Happening:
    return Happening(NOW - age, type(event).__name__, sentence(event))


def _chart(
    limit: int, reserved: int, burst: int | None, reported: Callable[[int], int]
) -> tuple[Point, ...]:
    return tuple(
        Point(
            at=NOW - _SECONDS + second,
            reported=reported(second),
            dialling=second // 3 % 2,
            uncounted=1 + second // 7 % 2,
            others=reported(second) // 12,
            limit=limit,
            reserved=reserved,
            burst=burst,
        )
        for second in range(_SECONDS)
        if not 150 <= second < 190
    )
