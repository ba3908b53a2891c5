"""Measuring the provider: one call, a counter that is watched, and what follows from it."""

from callguard.probe.experiment import MaybePlaced, NotPlaced, PhoneCall, Plan, probe
from callguard.probe.findings import Findings, Lag

__all__ = ["Findings", "Lag", "MaybePlaced", "NotPlaced", "PhoneCall", "Plan", "probe"]
