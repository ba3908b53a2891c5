"""What a snapshot does when it comes, or doesn't: the one way from the reader to the queues."""

from __future__ import annotations

from callguard.clock import Watch
from callguard.errors import CallGuardError
from callguard.gate.admissions import Admissions
from callguard.gate.asking import Asker
from callguard.gate.reading import Reader
from callguard.gate.reporting import Reporter
from callguard.ledger import Ledger
from callguard.limits import Snapshot

__all__ = ["Intake"]


class Intake:
    """Takes in what the reader brings.

    Args:
        watch: the gate's clock.
        ledger: who holds what.
        reader: takes the snapshots.
        admissions: admits who waits for one.
        asker: asks about the calls that a snapshot may have missed; None for nobody.
        reporter: the gate's listener.
    """

    def __init__(
        self,
        watch: Watch,
        ledger: Ledger,
        reader: Reader,
        admissions: Admissions,
        asker: Asker | None,
        reporter: Reporter,
    ) -> None:
        self._watch = watch
        self._ledger = ledger
        self._reader = reader
        self._admissions = admissions
        self._queues = admissions.queues
        self._asker = asker
        self._reporter = reporter

    def take(self, snapshot: Snapshot, duration: float) -> None:
        """Take in a snapshot that came `duration` seconds after it was asked for.

        The order matters. The ledger comes first, since it alone knows whether the snapshot is
        news. Then the ceilings, before anybody is measured against them, and the queues, so that
        those who have waited go before anybody whom an event or a webhook sends. What may call the
        user's code comes last: whatever that does, it finds a gate that is up to date.
        """
        self._watch.look()
        before = self._ledger.snapshot
        is_new = self._ledger.record(snapshot)
        if is_new:
            self._reader.recovered(snapshot)
            self._queues.apply(snapshot.limits)
            self._admissions.serve()
        if self._ledger.outdated:
            self._reader.hasten()
        if not is_new:
            return
        if self._asker is not None and self._queues:
            self._asker.ask(self._ledger.uncounted_calls())
        self._reporter.reading_taken(snapshot, before, duration)

    def fail(self, error: CallGuardError, duration: float) -> None:
        """Report a reading that failed; after a final no, nobody waits any longer."""
        now = self._watch.time()
        snapshot = self._ledger.snapshot
        age = None if snapshot is None else now - snapshot.began
        self._reporter.reading_failed(error, now, duration, age)
        if self._reader.final is not None:
            self._admissions.fail(error, "rejected")
