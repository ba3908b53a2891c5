"""Watches the premises of the promise: what refusals, snapshots and evidence say against them.

No decision uses this. A false alarm is worse than none, so there is none until chance, or another
cause, is a poor explanation of what was seen. `watched` has `cps` and `reserve`. `histories` has
`counter_lag`, `ring_limit` and `counts_ringing`, by what the gate's own calls show.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from callguard.premises.broken import Broken, Premise, advice
from callguard.premises.histories import Histories
from callguard.premises.watched import Premises

__all__ = ["Broken", "Histories", "Premise", "Premises", "advice"]
