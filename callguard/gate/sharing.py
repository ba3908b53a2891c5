"""What a shared ledger tells a gate, and ask of it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from callguard.errors import CallGuardError
from callguard.events import LedgerAway, LedgerBack, PermitLost
from callguard.gate.reporting import told
from callguard.ledger import Claim, RedisLedger, Times
from callguard.limits import Snapshot

if TYPE_CHECKING:
    from callguard.fetcher import LimitFetcher
    from callguard.gate.gate import Gate

__all__ = ["gate_among_many"]

logger = logging.getLogger("callguard")


@asynccontextmanager
async def gate_among_many(
    make: Callable[..., Gate],
    fetcher: LimitFetcher,
    times: Times,
    ledger: RedisLedger,
) -> AsyncIterator[Gate]:
    """A gate that shares its ledger, and its readings, with all others on the same ledger.

    Args:
        make: the gate's class, with the arguments that don't depend on its ledger.
        fetcher: whom to ask when it is this gate's turn to read.
        times: how long things last.
        ledger: where the ledger is.
    """
    claimant = _GateClaimant()
    gate_id = uuid.uuid4().hex
    session = ledger.session(gate_id, fetcher.workspace, times, claimant)
    readings = session.readings(fetcher, fetcher.workspace)
    claimant.gate = make(
        readings,
        session.view,
        gate_id=gate_id,
        workspace=ledger.workspace_hash(fetcher.workspace),
        consult=session.consult,
        watch=session.watch,
        turn_at=readings.turn_at,
    )
    try:
        await session.start()
        yield claimant.gate
    finally:
        await session.aclose()


class _GateClaimant:
    """A `Claimant` on behalf of a gate.

    Attributes:
        gate: the gate; to be set before the ledger is opened.
    """

    gate: Gate

    def claims(self) -> list[Claim]:
        """What the callers in the queue need: one claim for each lane on which anybody waits."""
        now = self.gate._time()
        return [
            Claim(
                line.lane.name,
                line.lane.priority,
                line.ceiling,
                len(line),
                now - line.first.since,
            )
            for line in self.gate._lines
            if line
        ]

    def granted(self, lane: str, number: int, usage: int) -> None:
        """A lane has got a place."""
        self.gate._grant_from_afar(self.gate._lines[lane], number, usage)

    def snapshot_came(self, snapshot: Snapshot, duration: float) -> None:
        """Some gate has taken a reading."""
        self.gate._note_snapshot(snapshot, duration)

    def asked_to_read(self) -> None:
        """Somebody has to read for those who wait elsewhere: their gates may be cut off."""
        self.gate._read_for_others()

    def lost(self, lanes: Mapping[int, str]) -> None:
        """The ledger took these permits for placed calls."""
        for number, lane in lanes.items():
            permit_id = f"{self.gate.id}-{number}"
            logger.warning("silent for longer than the lease: permit %s is lost", permit_id)
            self.gate._reporter.tell(PermitLost(permit_id, lane, **self.gate._names))

    def unreachable(self, error: CallGuardError) -> None:
        """The ledger can't be reached since now."""
        logger.warning("%s", error)
        self.gate._reporter.tell(LedgerAway(*told(error), **self.gate._names))
        self.gate._admit_waiting()

    def reachable(self, duration: float) -> None:
        """The ledger can be reached again."""
        logger.info("the ledger's server can be reached again, after %.1f s", duration)
        self.gate._reporter.tell(LedgerBack(duration, **self.gate._names))
