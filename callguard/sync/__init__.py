"""The gate for code that doesn't await: the same names and errors, for any number of threads.

::

    with callguard.sync.open_gate() as gate:
        with gate.admit() as permit:
            call = retell.call.create_phone_call(..., idempotency_key=permit.id)
            permit.placed(call.call_id)

Each gate has one thread, in which an event loop runs `callguard.Gate`; the ledger and the queues
are touched there only. A listener, and the function `refused=...`, are called in that thread, too.
"""

from callguard.sync.gate import Gate
from callguard.sync.opening import connect, open_gate
from callguard.sync.permit import Permit

__all__ = ["Gate", "Permit", "connect", "open_gate"]
