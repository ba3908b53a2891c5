"""The gate: waiters, order, wake-ups, lifetime."""

from callguard.gate.gate import Gate
from callguard.gate.opening import open_gate
from callguard.gate.permit import Permit
from callguard.gate.statistics import GateStatistics

__all__ = ["Gate", "GateStatistics", "Permit", "open_gate"]
