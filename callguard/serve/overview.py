"""The `Overview` of a workspace, put together from its gate and its journal."""

from __future__ import annotations

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

__all__ = [
    "Burst",
    "Happening",
    "Holder",
    "HolderState",
    "LaneView",
    "Overview",
    "Point",
    "PremiseView",
    "TrunkView",
]
