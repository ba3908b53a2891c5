"""What whoever runs a dialer does to its gate, beside dialling."""

from __future__ import annotations

from callguard.gate.assembly import Parts

__all__ = ["Steering"]


class Steering:
    """The part of a `Gate` by which a dialer is stopped."""

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
