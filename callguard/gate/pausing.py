"""Pausing and resuming a gate, by its own order or by that of its ledger."""

from __future__ import annotations

from collections.abc import Iterable

from callguard.decision import Pause
from callguard.gate.assembly import Parts
from callguard.gate.pauses import Scope
from callguard.ledger import DatedPause
from callguard.ledger.process import this_process

__all__ = ["pause", "resume", "take_over"]


def pause(parts: Parts, scope: Scope, reason: str) -> None:
    """Pause a scope at this gate, and at all gates on the ledger."""
    queues, by = parts.admissions.queues, this_process()
    made = queues.pauses.set(scope, by, reason)
    queues.look_at_pauses()
    parts.ledger.set_pause(*scope, (by, reason))
    _tell(parts, [made], [])


def resume(parts: Parts, scope: Scope) -> bool:
    """Resume a scope at this gate, and at all gates on the ledger; return whether it was paused."""
    lifted = parts.admissions.queues.pauses.lift(scope)
    if lifted is None:
        return False
    parts.ledger.set_pause(*scope, None)
    _go_on(parts)
    _tell(parts, [], [lifted])
    return True


def take_over(parts: Parts, pauses: Iterable[DatedPause]) -> None:
    """Pause and resume as the ledger says, which has the pauses of all gates."""
    made, lifted = parts.admissions.queues.pauses.replace(pauses)
    _go_on(parts)
    parts.ledger.note_queue()
    _tell(parts, made, lifted)


def _go_on(parts: Parts) -> None:
    """Admit the callers that are no longer paused, before the listener hears, so none overtakes."""
    queues = parts.admissions.queues
    queues.look_at_pauses()
    parts.admissions.serve()
    if queues:
        parts.schedule.want()


def _tell(parts: Parts, made: Iterable[Pause], lifted: Iterable[Pause]) -> None:
    teller = parts.reporter.teller
    if teller is None:
        return
    for each in made:
        teller.paused(each)
    for each in lifted:
        teller.resumed(each)
