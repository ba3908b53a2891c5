"""Measures the provider: places calls, watches the counter, and draws conclusions."""

from callguard.probe.at_the_limit import price
from callguard.probe.calls import MaybePlaced, NotPlaced, PhoneCall
from callguard.probe.experiment import probe
from callguard.probe.findings import AtTheLimit, Findings, Lag
from callguard.probe.plan import LimitPlan, Plan

__all__ = [
    "AtTheLimit",
    "Findings",
    "Lag",
    "LimitPlan",
    "MaybePlaced",
    "NotPlaced",
    "PhoneCall",
    "Plan",
    "price",
    "probe",
]
