"""Watches the premises of the promise: what refusals, snapshots and evidence say against them.

A false alarm is worse than none, so there is none until chance, or another cause, is a poor
explanation of what was seen. `watched` has `cps` and `reserve`. `histories` has `counter_lag`,
`ring_limit` and `counts_ringing`, by what the gate's own calls show; no decision uses either of
them. By the same calls `learning` learns whether ringing is counted, and a ledger in memory goes by
that.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from callguard.premises.broken import Broken, Premise, advice
from callguard.premises.histories import Histories
from callguard.premises.learning import Learning
from callguard.premises.watched import Premises

__all__ = ["Broken", "Histories", "Learning", "Premise", "Premises", "advice"]
