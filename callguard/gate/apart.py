"""The ceilings where inbound calls are counted apart: others' calls raise them."""

from __future__ import annotations

from collections.abc import Callable

from callguard.gate.queues import Queues
from callguard.gate.reporting import Reporter
from callguard.ledger import Ledger

__all__ = ["serving"]


def serving(
    ledger: Ledger, queues: Queues, serve: Callable[[], None], reporter: Reporter
) -> Callable[[], None]:
    """Return the function that serves the queues: `serve`, or one that updates the ceilings first.

    Args:
        ledger: the gate's ledger.
        queues: whose ceilings.
        serve: admits everyone in the queues who fits.
        reporter: reports that inbound calls are no longer counted apart.
    """
    if not ledger.inbound_apart:
        return serve
    return _Apart(ledger, queues, serve, reporter).serve


class _Apart:
    """Keeps the ceilings in step with others' calls between two snapshots.

    An own call that is known to be over is one of others' until a snapshot misses it, so its end
    raises the ceilings at once. They fall only with a snapshot, or by a refusal, after which all
    calls are counted together.
    """

    def __init__(
        self, ledger: Ledger, queues: Queues, serve: Callable[[], None], reporter: Reporter
    ) -> None:
        self._ledger = ledger
        self._queues = queues
        self._serve = serve
        self._reporter = reporter
        self._is_apart = True

    def serve(self) -> None:
        """Update the ceilings, and serve the queues by them."""
        snapshot = self._ledger.snapshot
        if snapshot is not None and self._is_apart:
            self._queues.apply(snapshot.limits, self._ledger.inbound)
        self._serve()
        self.look()

    def look(self) -> None:
        """Report, once, that inbound calls are no longer counted apart."""
        if self._is_apart and not self._ledger.inbound_apart:
            self._is_apart = False
            self._reporter.gave_up("reserved_inbound")
