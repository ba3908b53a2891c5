"""The operator's controls of a gate: draining, pausing and resuming."""

from __future__ import annotations

from callguard.arguments import checked_reason
from callguard.gate.assembly import Parts
from callguard.gate.pauses import Scope
from callguard.gate.pausing import pause, resume
from callguard.lanes import Lane
from callguard.trunks import Trunk

__all__ = ["Steering"]


class Steering:
    """The part of a `Gate` that stops and resumes a dialer."""

    _parts: Parts

    async def drain(self) -> None:
        """Stop dialling, say before a restart: admit nobody any more, and wait for live calls.

        From now on new and waiting callers get a `GateDraining`, including those of `place` whose
        call was refused. This returns when every call of this gate is over, or counted by a
        snapshot, so that the count shows it to everybody who dials next. Readings are taken
        meanwhile. On a shared ledger this concerns the calls of this worker only.

        Calls that are being dialled go on, so don't await this in the block of a permit. It may
        take as long as a dial plus `ring_limit` plus `counter_lag`; to give up earlier, write
        ``async with asyncio.timeout(25.0): await gate.drain()``. It may be called again, also
        concurrently. Cancelling this leaves the gate draining.

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

        Waiting callers stay in the queue, and new ones join it. Other lanes and trunks, and
        admitted calls, go on. `explain` says who made the pause, when and why. A later pause of the
        same lane and trunk replaces the earlier one. The pause ends with the gate.

        On a shared ledger the pause is for all gates: it holds here at once, for others as soon as
        the server knows of it, and until somebody resumes it, even if gates come and go, or nobody
        uses the ledger for long. A server that loses all its data hears of the pause from any gate
        that knew of it and is still open.

        Args:
            lane: one of the gate's lanes, or its name; None for all.
            trunk: one of the gate's trunks, or its name; None for all, and for calls without one.
            reason: the reason, which denials and `explain` show.

        Raises:
            GateClosed: the gate drains, or is closed.
            UsageError: the gate has no such lane or trunk, or belongs to another event loop.
            TypeError: an argument has the wrong type.
            ValueError: the reason has half a surrogate pair.
        """
        checked_reason(reason)
        pause(self._parts, self._scope(lane, trunk), reason)

    def resume(self, lane: Lane | str | None = None, trunk: Trunk | str | None = None) -> bool:
        """Lift the pause that was made with the same lane and trunk; other pauses stay in force.

        Waiting callers are admitted as far as there is room.

        Args:
            lane: as in `pause`; None for the pause of all lanes.
            trunk: as in `pause`; None for the pause of all trunks.

        Returns:
            Whether there was such a pause.

        Raises:
            GateClosed: the gate drains, or is closed.
            UsageError: as in `pause`.
            TypeError: an argument has the wrong type.
        """
        return resume(self._parts, self._scope(lane, trunk))

    def _scope(self, lane: Lane | str | None, trunk: Trunk | str | None) -> Scope:
        self._parts.home.check_open()
        return self._parts.admissions.queues.scope(lane, trunk)
