"""The ceilings where inbound calls are counted apart: others' calls raise them."""

from __future__ import annotations

from collections.abc import Callable

from callguard.gate.queues import Queues
from callguard.ledger import Ledger

__all__ = ["serving"]


def serving(ledger: Ledger, queues: Queues, serve: Callable[[], None]) -> Callable[[], None]:
    """Return the function that serves the queues: `serve`, or one that updates the ceilings first.

    An own call that is known to be over is one of others' until a snapshot misses it, so its end
    raises the ceilings at once. They fall only with a snapshot, by a refusal, after which all calls
    are counted together, or where ends free at once, by no more than the usage falls.

    Args:
        ledger: the gate's ledger.
        queues: whose ceilings.
        serve: admits everyone in the queues who fits.
    """
    if not ledger.inbound_apart:
        return serve
    is_apart = True

    def update_and_serve() -> None:
        nonlocal is_apart
        if ledger.snapshot is not None and is_apart:
            is_apart = ledger.inbound_apart
            queues.apply(ledger.snapshot.limits, ledger.inbound)
        serve()

    return update_and_serve
