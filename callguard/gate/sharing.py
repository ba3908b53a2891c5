"""The connection of a gate to a shared ledger."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from callguard.errors import CallGuardError
from callguard.gate.assembly import Parts
from callguard.gate.pausing import take_over
from callguard.ledger import Claim, DatedPause, Times
from callguard.limits import Limits
from callguard.source import LimitSource
from callguard.trunks import Trunk

if TYPE_CHECKING:
    from callguard.ledger import RedisLedger

__all__ = ["assembled_among_many"]

logger = logging.getLogger("callguard")


@asynccontextmanager
async def assembled_among_many(
    assemble: Callable[..., Parts],
    source: LimitSource,
    secret: str,
    times: Times,
    ledger: RedisLedger,
    trunks: Sequence[Trunk] = (),
    *,
    inbound_apart: bool = False,
    ends_free: bool = False,
) -> AsyncIterator[Parts]:
    """Assemble a gate's parts with a ledger and readings that all gates on `ledger` share.

    Args:
        assemble: makes the parts, with the arguments that don't depend on the ledger.
        source: the source to read when it is this gate's turn.
        secret: the workspace's key, from which the ledger's name is made unless it has one.
        times: the durations that the ledger uses.
        ledger: the shared ledger.
        trunks: the ways to the telephone network, the default one among them.
        inbound_apart: whether inbound calls are counted apart.
        ends_free: whether calls that are known to be over free their slots at once.
    """
    claimant = _Claimant()
    gate_id = uuid.uuid4().hex
    session = ledger.session(
        gate_id,
        secret,
        times,
        claimant,
        trunks,
        inbound_apart=inbound_apart,
        ends_free=ends_free,
    )
    parts = assemble(
        source,
        session.view,
        gate_id=gate_id,
        workspace=ledger.workspace_hash(secret),
        consult=session.consult,
        watch=session.watch,
    )
    claimant.serve(parts)
    parts.admissions.queues.inbound_apart = inbound_apart
    parts.reporter.heard_of_premise = session.note_broken
    parts.reporter.suggests_ringing = session.note_learnt
    try:
        await session.start()
        yield parts
    finally:
        await session.aclose()


class _Claimant:
    """A `Claimant` on behalf of a gate.

    Attributes:
        parts: the gate's parts.
        claims: makes the claims of the queued callers.
        granted: takes a slot that was granted to a claim.
    """

    parts: Parts
    claims: Callable[[Limits | None], list[Claim]]
    granted: Callable[[Claim, int, int], None]

    def serve(self, parts: Parts) -> None:
        """Set the gate's parts, before the ledger is opened."""
        self.parts = parts
        self.claims = parts.admissions.queues.claims
        self.granted = parts.admissions.grant

    def lost(self, lanes: Mapping[int, str]) -> None:
        """Report permits that the ledger counts as placed."""
        teller = self.parts.reporter.teller
        for number, lane in lanes.items():
            permit_id = self.parts.issuer.id_of(number)
            logger.warning("silent for longer than the lease: permit %s is lost", permit_id)
            if teller is not None:
                teller.permit_lost(permit_id, lane)

    def take_pauses(self, pauses: Sequence[DatedPause]) -> None:
        """Take the pauses of all gates."""
        take_over(self.parts, pauses)

    def unreachable(self, error: CallGuardError) -> None:
        """Report that the ledger can't be reached from now on."""
        logger.warning("%s", error)
        if self.parts.reporter.teller is not None:
            self.parts.reporter.teller.ledger_away(error)
        self.parts.intake.serve()

    def reachable(self, duration: float) -> None:
        """Report that the ledger can be reached again."""
        logger.info("the ledger's server can be reached again, after %.1f s", duration)
        if self.parts.reporter.teller is not None:
            self.parts.reporter.teller.ledger_back(duration)
