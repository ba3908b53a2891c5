"""The assembly of a gate from its parts, each of which knows only those before it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from callguard.clock import Watch
from callguard.fetcher import FixedLimit
from callguard.gate.admissions import Admissions
from callguard.gate.apart import serving
from callguard.gate.asking import Asker, Questions
from callguard.gate.draining import Draining
from callguard.gate.explaining import Explainer
from callguard.gate.giving_up import reporting
from callguard.gate.home import Home
from callguard.gate.intake import Intake
from callguard.gate.issuer import Issuer
from callguard.gate.queues import Queues
from callguard.gate.refusal import Judge
from callguard.gate.reporting import Reporter
from callguard.gate.ringing import Ringing
from callguard.gate.schedule import Schedule
from callguard.lanes import Lane
from callguard.ledger import Ledger, MemoryLedger, Times
from callguard.premises import Histories, Learning, Premises
from callguard.source import LimitSource
from callguard.stamps import ProviderClock
from callguard.trunks import Trunk

if TYPE_CHECKING:
    from callguard.events import Listener

__all__ = ["Parts", "assemble"]

_DATES_DIFFER: Final = 0.5
"""Seconds by which a snapshot from a shared ledger may be dated wrongly here: twice what a step of
the server's clock may be that can't be told from a late exchange."""


class Parts(NamedTuple):
    """The parts of one gate; see the classes."""

    home: Home
    watch: Watch
    ledger: Ledger
    reporter: Reporter
    schedule: Schedule
    issuer: Issuer
    explainer: Explainer
    admissions: Admissions
    intake: Intake
    draining: Draining
    asker: Asker | None
    ringing: Ringing | None

    async def read_first(self, within: float) -> None:
        """Read the limits, within at most `within` seconds, since a gate opens in an outage too.

        Raises:
            LimitsRejected: the provider refused the key.
        """
        await self.schedule.first(within)
        if self.schedule.final is not None:
            raise self.schedule.final

    async def aclose(self) -> None:
        """End every background task for good, even if this is cancelled.

        This alone also closes a gate that could not be opened.
        """
        self.home.close()
        self.draining.look()
        try:
            await self.schedule.aclose()
        finally:
            if self.asker is not None:
                await self.asker.aclose()


def assemble(
    source: LimitSource,
    ledger: Ledger,
    *,
    lanes: Sequence[Lane],
    trunks: Sequence[Trunk] = (),
    times: Times,
    judge: Judge,
    listeners: Sequence[Listener],
    workspace: str,
    questions: Questions | None = None,
    clock: ProviderClock | None = None,
    gate_id: str | None = None,
    consult: Callable[[], Awaitable[None]] | None = None,
    watch: Watch | None = None,
) -> Parts:
    """The parts of a gate. Called in the event loop.

    Args:
        source: the source of snapshots.
        ledger: the gate's ledger.
        lanes: the classes of calls.
        trunks: the ways to the telephone network, the default one among them.
        times: the durations that the ledger uses.
        judge: decides what a failed dial means.
        listeners: called with every event.
        workspace: the hash of the workspace for events.
        questions: asks the provider about calls; None not to ask.
        clock: the provider's clock, by which calls are stamped; None if that is unknown.
        gate_id: an id that is unique in the world; made here if not given.
        consult: asks a shared ledger's server, which alone grants slots; None for a ledger in
            memory.
        watch: notices when the machine has slept; made here if the ledger has none.
    """
    home = Home()
    watch = watch or _watch(ledger)
    reporter = Reporter(listeners, gate_id or uuid.uuid4().hex, workspace)
    schedule = Schedule(source, ledger.readings, begins=watch.look)
    ringing = _ringing(ledger, times, reporter) if times.learns else None
    premises = _premises(source, lanes, trunks, times, watch, ringing, alone=consult is None)
    issuer = Issuer(home, watch, ledger, judge, reporter, premises, clock or ProviderClock())
    queues = Queues(lanes, trunks, ledger.pace, watch.time)
    explainer = Explainer(watch, ledger, schedule, queues, reporter, times.max_age)
    admissions = Admissions(
        queues, home, watch, ledger, schedule, issuer, explainer, reporter, consult
    )
    asker = None if questions is None else Asker(questions, issuer, watch.time, times.ring_limit)
    intake = Intake(home, watch, ledger, schedule, admissions, asker, reporter, premises, ringing)
    draining = Draining(home, ledger, schedule, admissions)
    serve = reporting(ledger, serving(ledger, queues, admissions.serve), reporter)
    issuer.room_made = intake.serve = serve
    _bind(issuer, schedule, asker, ringing)
    schedule.serve(intake.failed, lambda: bool(queues) or ledger.others_wait or draining.reads)
    ledger.readings.serve(intake)
    return Parts(
        home,
        watch,
        ledger,
        reporter,
        schedule,
        issuer,
        explainer,
        admissions,
        intake,
        draining,
        asker,
        ringing,
    )


def _watch(ledger: Ledger) -> Watch:
    watch = Watch(asyncio.get_running_loop())
    watch.on_sleep(ledger.note_sleep)
    return watch


def _bind(issuer: Issuer, schedule: Schedule, asker: Asker | None, ringing: Ringing | None) -> None:
    """Earlier parts reach later ones only by callbacks, each bound once."""
    issuer.count_changed = schedule.look
    if asker is not None:
        issuer.came_unasked = asker.came
    if ringing is not None:
        issuer.was_refused = ringing.refused


def _ringing(ledger: Ledger, times: Times, reporter: Reporter) -> Ringing:
    learning = Learning(counter_lag=times.counter_lag, ring_limit=times.ring_limit)
    return Ringing(learning, ledger if isinstance(ledger, MemoryLedger) else None, reporter)


def _premises(
    source: LimitSource,
    lanes: Sequence[Lane],
    trunks: Sequence[Trunk],
    times: Times,
    watch: Watch,
    ringing: Ringing | None,
    *,
    alone: bool,
) -> Premises:
    histories = None
    if not isinstance(source, FixedLimit):  # which counts no call
        histories = Histories(
            counter_lag=times.counter_lag,
            ring_limit=times.counted_after - times.counter_lag or None,
            slack=0.0 if alone else _DATES_DIFFER,
            learning=None if ringing is None else ringing.learning,
        )
        watch.on_sleep(histories.forget)
    return Premises(
        min(lane.reserve for lane in lanes),
        {trunk.name: trunk.cps for trunk in trunks if trunk.cps is not None},
        counter_lag=times.counter_lag,
        max_age=times.max_age,
        alone=alone,
        histories=histories,
    )
