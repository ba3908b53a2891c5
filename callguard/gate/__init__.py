"""The gate: its queues, their order, wake-ups, lifetime."""

from typing import TYPE_CHECKING

from callguard.gate.gate import Gate
from callguard.gate.opening import connect, open_gate
from callguard.gate.permit import Permit

if TYPE_CHECKING:
    from callguard.gate.statistics import GateStatistics

__all__ = ["Gate", "GateStatistics", "Permit", "connect", "open_gate"]


def __getattr__(name: str) -> object:
    """Import the class of the statistics when it is first used, which saves time at the start."""
    if name == "GateStatistics":
        from callguard.gate.statistics import GateStatistics

        return GateStatistics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
