"""``callguard doctor``: says what is wrong with a setup before the campaign does.

`examine` gathers the facts, and `CHECKS` judge them. Each `Finding` says what was found, why it
matters, and what to do. What could not be found out is unknown, and never taken for right.
"""

from callguard.doctor.case import Case, Setup
from callguard.doctor.examining import CHECKS, examine, judge
from callguard.doctor.finding import SEVERITIES, Finding, Severity, Unknown

__all__ = [
    "CHECKS",
    "SEVERITIES",
    "Case",
    "Finding",
    "Setup",
    "Severity",
    "Unknown",
    "examine",
    "judge",
]
