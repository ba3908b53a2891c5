"""Dialling through the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

import callguard
from callguard.demo.leads import BULK, REFUSED, URGENT, Caller, Lead
from callguard.demo.progress import Reckoning
from callguard.demo.times import SPEED

__all__ = ["BETWEEN_READINGS", "LANES", "RESERVE", "GateDialer", "gate_dialer"]

RESERVE: Final = 3
"""Calls that both lanes leave free for calls by others.

Until the next snapshot, calls that others begin come on top of the usage. So the count exceeds the
limit only if, after the gate has filled the lane, four more calls by others begin than calls end.
At least 17 calls are going on then, of which one ends in 4 s, while others begin one in 200 s. (A
random walk with such odds climbs by four with a chance of ``(4 / 200) ** 4``, or 1 in 6 million,
each time the lane is filled.)
"""

LANES: Final = {
    URGENT: callguard.Lane(URGENT, priority=0, reserve=RESERVE),
    BULK: callguard.Lane(BULK, priority=1, reserve=RESERVE),
}
"""The lanes by their names."""


BETWEEN_READINGS: Final = 0.15
"""Real seconds from one reading to the next where the campaign goes by in real time. Our own
choice; many more readings would keep a machine busy that many processes share."""

_HURRIED: Final[dict[str, Any]] = {
    "cps": float(SPEED),
    "ttl": BETWEEN_READINGS,
    "counter_lag": 0.3,
    "min_interval": 0.05,
}


@asynccontextmanager
async def gate_dialer(
    url: str, api_key: str, caller: Caller, *, ledger: str | None = None
) -> AsyncIterator[GateDialer]:
    """A dialer with its own gate, which is closed at the end of the block.

    Args:
        url: the workspace's address.
        api_key: the workspace's key.
        caller: places the calls.
        ledger: the address of the server that keeps the gate's ledger, whose campaign goes by in
            real time, `SPEED` times as fast; None for a ledger of its own.
    """
    settings = {} if ledger is None else _HURRIED
    async with callguard.open_gate(
        api_key, base_url=url, lanes=LANES.values(), counts_ringing=True, ledger=ledger, **settings
    ) as gate:
        yield GateDialer(gate, caller)


class GateDialer:
    """Enters the gate before each call, and needs to do nothing else about limits."""

    def __init__(self, gate: callguard.Gate, caller: Caller) -> None:
        self._gate = gate
        self._caller = caller

    async def dial(self, leads: Sequence[Lead]) -> None:
        """Dial all leads, until every call is placed."""
        async with asyncio.TaskGroup() as group:
            for lead in leads:
                group.create_task(self._dial(lead))

    def reckoning(self) -> Reckoning:
        """The figures that the gate decides by, with its own explanation."""
        statistics = self._gate.statistics()
        return Reckoning(
            usage=statistics.usage.total,
            waiting={lane: statistics.waiting[lane] for lane in LANES},
            reason=str(self._gate.explain(BULK)),
        )

    async def _dial(self, lead: Lead) -> None:
        await asyncio.sleep(lead.known_after)
        while not await self._placed(lead):
            pass

    async def _placed(self, lead: Lead) -> bool:
        try:
            async with self._gate.admit(lead.lane) as permit:
                permit.placed(await self._caller.call(lead, idempotency_key=permit.id))
        except aiohttp.ClientResponseError as error:
            if error.status != REFUSED:
                raise
            return False
        return True
