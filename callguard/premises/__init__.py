"""The premises of the promise, watched: what refusals, snapshots and evidence say against them.

Nothing is decided from it. An alarm that is wrong is worse than none, so each is kept until chance,
or another cause, is a poor explanation of what was seen. `watched` has `cps` and `reserve`,
`histories` what the gate's own calls show: `counter_lag`, `ring_limit` and `counts_ringing`.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from callguard.premises.broken import Broken, Premise, advice
from callguard.premises.histories import Histories
from callguard.premises.watched import Premises

__all__ = ["Broken", "Histories", "Premise", "Premises", "advice"]
