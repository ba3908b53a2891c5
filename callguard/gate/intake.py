"""The intake of snapshots and failed readings: the only way from the ledger to the queues."""

from __future__ import annotations

import sys
from collections.abc import Callable

from callguard.clock import Watch
from callguard.decision import Ceilings
from callguard.errors import CallGuardError
from callguard.gate.admissions import Admissions
from callguard.gate.asking import Asker
from callguard.gate.home import Home
from callguard.gate.reporting import Reporter
from callguard.gate.ringing import Ringing
from callguard.gate.schedule import Schedule
from callguard.ledger import Ledger
from callguard.limits import Snapshot
from callguard.premises import Broken, Premises

__all__ = ["Intake"]


class Intake:
    """Takes in snapshots and failures from the ledger; a `callguard.ledger.Reader`.

    Args:
        home: the gate's event loop and state.
        watch: the gate's clock.
        ledger: the gate's ledger.
        schedule: takes the snapshots.
        admissions: admits the callers that wait for a snapshot.
        asker: asks about the calls that a snapshot may have missed; None not to ask.
        reporter: reports to the gate's listener.
        premises: held against each snapshot.
        ringing: what is learnt of ringing calls with each snapshot; None if that is known.

    Attributes:
        serve: called when a snapshot may have made room; may be set.
    """

    def __init__(
        self,
        home: Home,
        watch: Watch,
        ledger: Ledger,
        schedule: Schedule,
        admissions: Admissions,
        asker: Asker | None,
        reporter: Reporter,
        premises: Premises,
        ringing: Ringing | None,
    ) -> None:
        self._home = home
        self._watch = watch
        self._ledger = ledger
        self._schedule = schedule
        self._admissions = admissions
        self._queues = admissions.queues
        self._asker = asker
        self._reporter = reporter
        self._premises = premises
        self._histories = premises.histories
        self.serve: Callable[[], None] = admissions.serve
        self._ringing = ringing
        # The next reading is due at another moment than it was.
        self.moved = schedule.look

    def came(self, snapshot: Snapshot, duration: float) -> None:
        """Take in a snapshot that came `duration` seconds after it was asked for.

        The order matters. The ledger comes first, since it alone knows whether the snapshot is
        news. Then come the ceilings, before any call is compared with them, and then the queues, so
        that waiting callers go before callers that an event or a webhook starts. Steps that may
        call the user's code come last, so that this code finds an up-to-date gate.
        """
        self._watch.look()
        before = self._ledger.snapshot
        if self._histories is not None:
            # Before those are forgotten that the snapshot surely counts.
            self._histories.placed(self._ledger.uncounted_calls(), self._watch.time())
        is_new = self._ledger.record(snapshot)
        self._schedule.recovered()
        if not is_new:
            return
        broken = self._held_against(before)
        self._queues.apply(snapshot.limits, self._ledger.inbound)
        self.serve()
        if self._asker is not None and (self._queues or self._home.draining):
            self._ask(self._asker)
        self._reporter.reading_taken(snapshot, before, duration)
        for each in broken:
            self._reporter.premise_broken(each)

    def _ask(self, asker: Asker) -> None:
        """Ask about this gate's own calls: those that may not be counted, and those in the way.

        Gates on a shared ledger ask as often, all together, as one gate would that had all calls.
        """
        ledger = self._ledger
        usage, own = ledger.usage(), ledger.unsettled()
        everyones = usage.dialling + usage.uncounted
        asker.ask(
            {**ledger.uncounted_calls(), **dict.fromkeys(ledger.calls_in_the_way())},
            own / everyones if own < everyones else 1.0,
            besides=() if self._ringing is None else self._ringing.calls_in_question(),
        )

    def _held_against(self, before: Snapshot | None) -> list[Broken]:
        """Compare the snapshot in hand with the premises, before any call is admitted by it."""
        ledger = self._ledger
        snapshot = ledger.snapshot
        if snapshot is None:
            return []
        usage = ledger.usage()
        ceiling = sys.maxsize
        for lane in self._queues.lanes:
            ceiling = min(ceiling, Ceilings.of(snapshot.limits, lane, ledger.inbound).highest)
        broken = self._premises.taken(
            snapshot,
            before,
            unsettled=usage.dialling + usage.uncounted,
            granted=ledger.granted,
            ceiling=ceiling,
        )
        if self._histories is not None:
            broken += self._histories.taken(snapshot, ledger.next_number, self._watch.time())
        if self._ringing is not None:
            self._ringing.look()
        return broken

    def failed(self, error: CallGuardError, duration: float) -> None:
        """Report a failed reading; after a final refusal, every wait ends."""
        self._schedule.note_failure(error, duration)
        if self._asker is not None:
            self._asker.back_off(error)
        now = self._watch.time()
        snapshot = self._ledger.snapshot
        age = None if snapshot is None else now - snapshot.began
        self._reporter.reading_failed(error, now, duration, age)
        if self._schedule.final is not None:
            self._admissions.fail(error, "rejected")

    def asked(self) -> None:
        """Read for callers that wait at other gates, which may be cut off from the provider."""
        if self._home.open_in is not None:
            self._schedule.want()
