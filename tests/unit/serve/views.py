"""Overviews to show."""

from __future__ import annotations

import math
from typing import Final

from callguard.decision import Pause, Usage
from callguard.limits import Limits
from callguard.serve.overview import (
    Burst,
    Happening,
    Holder,
    LaneView,
    Overview,
    Point,
    PremiseView,
    TrunkView,
)

AT: Final = 1_764_158_400.0

BUSY: Final = Overview(
    workspace="6f3c0d1e2b4a59687a1b2c3d",
    gate="7c1275ccf23f4c7387c3a968136b0662",
    at=AT,
    draining=False,
    limits=Limits(14, 20, 2, concurrency_burst_enabled=True, concurrency_burst_limit=60),
    usage=Usage(14, 1, 2, counted=9),
    snapshot_age=0.4,
    outage=None,
    lanes=(
        LaneView(
            "urgent", "admitted: 17 of 60 in use", True, 0.0, 58, 0, 0.1, 0.3, 0.0, 0.0, 3.0, 0,
            False,
        ),
        LaneView(
            "bulk", "denied: 17 of 20 in use", False, 7.4, 17, 40, 12.0, 38.2, 7.4, 95.0, 12.0, 1,
            False,
        ),
    ),
    trunks=(
        TrunkView("default", 1.0, None, 0.4, 15, None, None, False),
        TrunkView("sip", None, None, None, 0, 3, 5, True),
    ),
    holders=(
        Holder("7c12-1", "web:1", "bulk", "counted", 312.0),
        Holder("7c12-2", "web:1", "urgent", "uncounted", 9.4),
        Holder("7c12-3", "web:1", "bulk", "dialling", 0.3),
    ),
    burst=Burst(True, 2, 1.25),
    pauses=(Pause(None, "sip", "web:1", 61.0, "carrier trouble"),),
    premises=(PremiseView("reserve", 0.0, 2.0, 3, "others added 2 calls; set Lane(reserve=2)"),),
    given_up=("reserved_inbound",),
    events=(
        Happening(AT - 0.3, "Placed", "call call_7 placed on lane 'bulk'"),
        Happening(AT - 61.0, "Paused", "trunk 'sip' paused from web:1: carrier trouble"),
    ),
    chart=tuple(
        Point(
            AT - 599 + second, 10 + round(5 * math.sin(second / 60)), 1, 2, 5, 20, 2, 60
        )
        for second in range(0, 600, 2)
    ),
)  # fmt: skip
