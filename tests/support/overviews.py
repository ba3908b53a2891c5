"""Overviews made by hand, one for each state in which an operator may find a workspace."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from callguard.decision import Pause, Usage
from callguard.limits import Limits
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

_SECONDS: Final = 600


def empty() -> Overview:
    """A gate that was just opened: nothing was read, nobody waits."""
    sentence = "denied: no snapshot of the limits yet; a reading comes with the first caller"
    return Overview(
        workspace=WORKSPACE,
        gate="0b7d",
        at=NOW,
        draining=False,
        limits=None,
        usage=Usage(None, 0, 0),
        snapshot_age=None,
        outage=None,
        lanes=(_lane("default", sentence, ceiling=None),),
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
    """A campaign that runs well: some wait, there is room, the trunk sets the pace."""
    usage = Usage(reported=13, dialling=1, uncounted=2, counted=9)
    return replace(
        empty(),
        limits=Limits(13, 20, 2, True, 26),
        usage=usage,
        snapshot_age=0.4,
        lanes=(
            _lane(
                "urgent",
                "admitted: 16 of 26 in use (13 reported 0.4 s ago, 1 dialling, 2 uncounted; "
                "12 ours, up to 4 others); reserve 0; burst allowed",
                admits=True,
                ceiling=24,
                waits=(0.2, 0.9),
                rate=4.0,
            ),
            _lane(
                "bulk",
                "denied: the trunk 'default' is due in 0.7 s; 16 of 20 in use (13 reported 0.4 s "
                "ago, 1 dialling, 2 uncounted; 12 ours, up to 4 others); reserve 2; burst not "
                "allowed on lane 'bulk'; by the present rate of grants yours is next in about 41 s "
                "(p90 95 s)",
                lifts_in=0.7,
                ceiling=16,
                waiting=37,
                waits=(38.2, 92.0),
                eta=(41.0, 95.0),
                rate=52.0,
            ),
        ),
        trunks=(
            TrunkView("default", 1.0, None, 0.7, 56, None, None, False),
            TrunkView("twilio", 0.5, 10.0, 0.0, 7, 3, 10, False),
        ),
        holders=_holders(12, shared=False),
        burst=Burst(True, 0, 1.20),
        events=_events(),
        chart=_chart(20, 2, 26, lambda s: 10 + round(5 * math.sin(s / 70) + 2 * math.sin(s / 13))),
    )


def full() -> Overview:
    """A workspace at its limit, a premise that was seen to be wrong, and a refusal."""
    usage = Usage(reported=17, dialling=1, uncounted=2, counted=12)
    sentence = (
        "denied: 20 of 20 in use (17 reported 0.4 s ago, 1 dialling, 2 uncounted; 15 ours, up to 5 "
        "others); reserve 0; burst not allowed on lane 'bulk'; by the present rate of grants yours "
        "is next in about 40 s (p90 95 s)"
    )
    return replace(
        busy(),
        limits=Limits(17, 20, 0, False, 0),
        usage=usage,
        lanes=(
            _lane(
                "bulk",
                sentence,
                lifts_in=40.0,
                ceiling=20,
                waiting=1834,
                waits=(412.0, 900.0),
                eta=(40.0, 95.0),
                rate=31.0,
                refused=1,
            ),
        ),
        trunks=(TrunkView("default", 5.0, None, 0.0, 31, None, None, False),),
        holders=_holders(15, shared=False),
        burst=Burst(False, 0, 0.0),
        premises=(
            PremiseView(
                "counter_lag",
                5.0,
                7.4,
                3,
                "the counter showed a call 7.4 s after it was answered; set counter_lag=8.0",
            ),
        ),
        given_up=("ends_free_at_once",),
        chart=_chart(20, 0, None, lambda s: min(17, 6 + s // 12)),
    )


def paused() -> Overview:
    """Everything is paused by hand, and a trunk besides."""
    return replace(
        busy(),
        lanes=tuple(
            replace(
                lane,
                sentence='denied: paused from dialer-1 (process 4711) 95 s ago ("carrier trouble")',
                admits=False,
                lifts_in=None,
                paused=True,
                eta_p50=None,
                eta_p90=None,
            )
            for lane in busy().lanes
        ),
        trunks=tuple(replace(trunk, paused=True) for trunk in busy().trunks),
        pauses=(
            Pause(None, None, "dialer-1 (process 4711)", 95.0, "carrier trouble"),
            Pause(None, "twilio", "dialer-2 (process 93)", 4000.0, ""),
        ),
    )


def outage() -> Overview:
    """The provider's counter can't be read any more."""
    error = "unable to read the limits for 34.2 s, the latest error: HTTP 503 from the provider"
    sentence = f"denied: the snapshot is 34.6 s old, and may be 10.0 s at most; {error}"
    return replace(
        busy(),
        snapshot_age=34.6,
        outage=error,
        lanes=tuple(
            replace(lane, sentence=sentence, admits=False, lifts_in=None, eta_p50=None)
            for lane in busy().lanes
        ),
        chart=tuple(
            point if point.at < NOW - 35 else replace(point, reported=None, others=None)
            for point in busy().chart
        ),
    )


def draining() -> Overview:
    """The gate admits nobody any more."""
    sentence = "denied: the gate drains, and admits nobody any more"
    lanes = tuple(
        replace(lane, sentence=sentence, admits=False, waiting=0, lifts_in=None, eta_p50=None)
        for lane in busy().lanes
    )
    return replace(busy(), draining=True, lanes=lanes)


def shared() -> Overview:
    """Many workers on one ledger, many lanes, far above the usual numbers."""
    lanes = tuple(
        _lane(
            f"region-{index}",
            f"admitted: 261 of 300 in use (250 reported 0.8 s ago, 4 dialling, 7 uncounted); "
            f"reserve {5 * index}; burst not allowed on lane 'region-{index}'",
            admits=True,
            ceiling=300 - 5 * index,
            waiting=index,
            waits=(0.1, 1.5 + index),
            rate=70.0,
        )
        for index in range(5)
    )
    return replace(
        busy(),
        limits=Limits(250, 300, 10, True, 600),
        usage=Usage(250, 4, 7),
        snapshot_age=0.8,
        lanes=lanes,
        trunks=(TrunkView("default", 10.0, None, 0.05, 350, 211, 240, False),),
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


def _lane(
    name: str,
    sentence: str,
    *,
    admits: bool = False,
    lifts_in: float | None = None,
    ceiling: int | None,
    waiting: int = 0,
    waits: tuple[float, float] | None = None,
    eta: tuple[float, float] | None = None,
    rate: float = 0.0,
    refused: int = 0,
) -> LaneView:
    return LaneView(
        name=name,
        sentence=sentence,
        admits=admits,
        lifts_in=0.0 if admits else lifts_in,
        ceiling=ceiling,
        waiting=waiting,
        wait_p50=None if waits is None else waits[0],
        wait_p90=None if waits is None else waits[1],
        eta_p50=0.0 if admits else None if eta is None else eta[0],
        eta_p90=0.0 if admits else None if eta is None else eta[1],
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
            else "dialer-1 (process 4711)",
            lane="urgent" if index % 5 == 2 else "bulk",
            state=_state(count - index),
            age=3.4 * (count - index) ** 1.7 + 0.2,
        )
        for index in range(count)
    )


def _state(younger: int) -> HolderState:
    return "dialling" if younger <= 1 else "uncounted" if younger <= 3 else "counted"


def _events() -> tuple[Happening, ...]:
    told = [
        ("Admitted", "lane 'bulk': call 4f1e admitted after 41.3 s, 16 of 20 in use"),
        ("Placed", "lane 'bulk': call 4f1d placed after 0.8 s"),
        ("SnapshotReceived", "13 calls reported, 20 allowed, 2 of them reserved for inbound"),
        ("Ended", "a call of lane 'urgent' is over after 3 min 12 s"),
        ("Refused", "lane 'bulk': the provider refused a call: \"concurrency_limit_reached\""),
        ("Resumed", "everything was resumed from dialer-1 (process 4711)"),
    ]
    return tuple(Happening(NOW - 1.3 * index**2, *told[index % len(told)]) for index in range(18))


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
