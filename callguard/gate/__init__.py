"""The gate: its queues, their order, wake-ups, lifetime."""

from callguard.gate.gate import Gate
from callguard.gate.opening import connect, open_gate
from callguard.gate.permit import Permit
from callguard.gate.statistics import GateStatistics

__all__ = ["Gate", "GateStatistics", "Permit", "connect", "open_gate"]
