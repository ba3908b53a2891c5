"""Measures the provider: places calls, watches the counter, and draws conclusions."""

from callguard.probe.calls import MaybePlaced, NotPlaced, PhoneCall
from callguard.probe.experiment import probe
from callguard.probe.findings import Findings, Lag
from callguard.probe.plan import Plan

__all__ = [
    "Findings",
    "Lag",
    "MaybePlaced",
    "NotPlaced",
    "PhoneCall",
    "Plan",
    "probe",
]
