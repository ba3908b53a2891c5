"""The gate in front of an outbound voice call.

::

    async with callguard.open_gate() as gate:
        async with gate.admit() as permit:
            call = await retell.call.create_phone_call(..., idempotency_key=permit.id)
            permit.placed(call.call_id)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from callguard.decision import Decision, Outage, Pause, Usage
from callguard.errors import (
    AdmissionError,
    AdmissionTimeout,
    CallGuardError,
    GateClosed,
    GateDraining,
    LedgerUnavailable,
    LimitsError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    MissingExtra,
    NoHeadroom,
    QueueFull,
    UsageError,
)
from callguard.eta import Eta
from callguard.fetcher import FixedLimit, LimitFetcher
from callguard.gate import Gate, Permit, connect, open_gate
from callguard.lanes import Lane
from callguard.limits import Limits, Snapshot
from callguard.source import LimitSource
from callguard.trunks import Trunk

if TYPE_CHECKING:
    from callguard.events import Listener
    from callguard.gate import GateStatistics
    from callguard.ledger import RedisLedger

__all__ = [
    "AdmissionError",
    "AdmissionTimeout",
    "CallGuardError",
    "Decision",
    "Eta",
    "FixedLimit",
    "Gate",
    "GateClosed",
    "GateDraining",
    "GateStatistics",
    "Lane",
    "LedgerUnavailable",
    "LimitFetcher",
    "LimitSource",
    "Limits",
    "LimitsError",
    "LimitsMalformed",
    "LimitsRejected",
    "LimitsUnavailable",
    "Listener",
    "MissingExtra",
    "NoHeadroom",
    "Outage",
    "Pause",
    "Permit",
    "QueueFull",
    "RedisLedger",
    "Snapshot",
    "Trunk",
    "Usage",
    "UsageError",
    "connect",
    "open_gate",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the names that most programs don't need when they are first used."""
    if name in ("events", "metrics", "sync", "webhooks"):
        return import_module(f"callguard.{name}")
    if name == "Listener":
        return import_module("callguard.events").Listener
    if name == "GateStatistics":
        return import_module("callguard.gate").GateStatistics
    if name == "RedisLedger":
        return import_module("callguard.ledger").RedisLedger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
