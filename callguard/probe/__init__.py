"""Measures the provider: places one call, watches the counter, and draws conclusions."""

from callguard.probe.experiment import MaybePlaced, NotPlaced, PhoneCall, Plan, probe
from callguard.probe.findings import Findings, Lag

__all__ = ["Findings", "Lag", "MaybePlaced", "NotPlaced", "PhoneCall", "Plan", "probe"]
