"""What whoever runs a dialer does to its gate, beside dialling."""

from __future__ import annotations

from callguard.arguments import checked_reason
from callguard.gate.assembly import Parts
from callguard.gate.halts import Scope
from callguard.gate.pausing import pause, resume
from callguard.lanes import Lane
from callguard.trunks import Trunk

__all__ = ["Steering"]


class Steering:
    """The part of a `Gate` by which a dialer is stopped and goes on."""

    _parts: Parts

    async def drain(self) -> None:
        """Stop dialling, as before a restart: admit nobody any more, and wait for what goes on.

        From now on whoever comes gets a `GateDraining`, and so does everybody in the queue, a call
        of `place` that was refused among them. Returns when every call of this gate's is over, or
        counted by a snapshot, so that whoever dials next knows of it from the count. Readings are
        taken meanwhile. On a shared ledger that is this worker's calls only.

        Calls that are being dialled go on, so this is not awaited in the block of a permit. It may
        take as long as a dial and `ring_limit` and `counter_lag` together; to give up earlier,
        write ``async with asyncio.timeout(25.0): await gate.drain()``. May be called again, by
        several at once too. Cancelling this leaves the gate draining.

        Raises:
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: the gate belongs to another event loop.
        """
        await self._parts.draining.drain()

    def pause(
        self,
        lane: Lane | str | None = None,
        trunk: Trunk | str | None = None,
        *,
        reason: str = "",
    ) -> None:
        """Admit nobody until `resume`: on a lane, on a trunk, on a lane and trunk, or at all.

        Who waits stays in the queue, and whoever else comes joins it; others go on. Calls that were
        admitted go on too. `explain` says who has paused, since when and why. Of the same lane and
        trunk the latest pause holds. It ends with the gate.

        On a shared ledger it is a pause of all gates there: it holds here at once, for others as
        soon as the server hears of it, and until somebody resumes it, whichever gates come and go.
        A ledger that is lost, or that nobody uses for an hour, loses its pauses.

        Args:
            lane: one of the gate's lanes, or its name; None for each.
            trunk: one of the gate's trunks, or its name; None for each, and for calls without one.
            reason: why, for those who ask.

        Raises:
            GateClosed: the gate drains, or is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
            TypeError: an argument of the wrong type.
            ValueError: a reason with half a surrogate pair.
        """
        checked_reason(reason)
        pause(self._parts, self._scope(lane, trunk), reason)

    def resume(self, lane: Lane | str | None = None, trunk: Trunk | str | None = None) -> bool:
        """Lift the pause of the same lane and trunk; other pauses that concern them hold on.

        Who waits is admitted as far as there is room.

        Args:
            lane: as in `pause`; None for the pause of each.
            trunk: as in `pause`; None for the pause of each.

        Returns:
            Whether it was paused.

        Raises:
            GateClosed: the gate drains, or is closed.
            UsageError: as in `pause`.
            TypeError: an argument of the wrong type.
        """
        return resume(self._parts, self._scope(lane, trunk))

    def _scope(self, lane: Lane | str | None, trunk: Trunk | str | None) -> Scope:
        self._parts.home.check_open()
        return self._parts.admissions.queues.scope(lane, trunk)
