"""The campaign of the demo: leads, a dialer and a simulated workspace, over real HTTP.

A second here stands for forty: calls of a minute last 1.5 s, and eleven minutes of dialling
are over in a quarter of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from callguard.cli.gated import BURST, gate_dialer
from callguard.cli.leads import Caller, Lead, dialled_once, leads
from callguard.cli.looped import LoopDialer
from callguard.cli.progress import Outcome, Progress, Reckoning
from callguard.simulator import (
    Constant,
    Exponential,
    Fault,
    Faults,
    Server,
    Uniform,
    WorkspaceSettings,
    serve,
)

__all__ = ["FAULT_RATE", "Plan", "run"]

FAULT_RATE: Final = 0.1
"""The share of the requests for the limits that go wrong."""

_LONGEST: Final = 28.0
"""Seconds after which a campaign is given up."""

_INTERVAL: Final = 0.1
"""Seconds between two looks at the campaign."""

_WORKSPACE: Final = WorkspaceSettings(
    limit=20,
    burst_limit=60,  # As the provider's formula has it: min(3 * limit, limit + 300).
    talk_time=Exponential(1.5, at_most=8.0),
    ring_time=Exponential(0.25, at_most=0.8),
    answer_rate=0.8,
    ring_limit=0.8,
    counts_ringing=True,
    rise_lag=0.25,
    fall_lag=0.25,
    inbound_rate=0.2,
    inbound_talk_time=Constant(5.0),
)
_LATENCY: Final = Uniform(0.005, 0.02)
_FAULTS: Final[tuple[Fault, ...]] = ("500", "cut", "broken-json")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be dialled, and how.

    Args:
        leads: how many there are.
        seed: what the workspace's draws follow from.
        gated: whether the dialer goes through a gate, or does as most people do.
    """

    leads: int
    seed: int
    gated: bool


class _Dialer(Protocol):
    async def dial(self, leads: Sequence[Lead]) -> None: ...

    def reckoning(self) -> Reckoning: ...


class _CountedFaults(Faults):
    """Faults that know how many they were."""

    __slots__ = ("number",)

    def __init__(self, seed: int) -> None:
        super().__init__(rate=FAULT_RATE, kinds=_FAULTS, seed=seed)
        self.number = 0

    def next(self, elapsed: float) -> Fault | None:
        fault = super().next(elapsed)
        self.number += fault is not None
        return fault


async def run(plan: Plan, show: Callable[[Progress], None]) -> Outcome:
    """Run the campaign, for half a minute at most.

    Args:
        plan: what is dialled, and how.
        show: called with the progress ten times a second, and once at the end.
    """
    faults = _CountedFaults(plan.seed)
    async with (
        serve(_WORKSPACE, seed=plan.seed, latency=_LATENCY, faults=faults) as server,
        _session(server) as session,
    ):
        caller = Caller(session)
        async with _dialer(plan, server, session, caller) as dialer:
            campaign = _Campaign(plan, server, faults, dialer)
            with suppress(TimeoutError):
                await campaign.run(show)
            return campaign.outcome(dialled_once(caller.call_ids, server.workspace))


class _Campaign:
    def __init__(self, plan: Plan, server: Server, faults: _CountedFaults, dialer: _Dialer) -> None:
        self._plan = plan
        self._workspace = server.workspace
        self._faults = faults
        self._dialer = dialer

    async def run(self, show: Callable[[Progress], None]) -> None:
        """Dial, and show how it goes. Whatever `show` raises ends it.

        Raises:
            TimeoutError: it took too long.
        """
        dialling = asyncio.create_task(self._dialer.dial(leads(self._plan.leads)))
        try:
            async with asyncio.timeout(_LONGEST):
                while not dialling.done():
                    show(self._progress())
                    await asyncio.wait([dialling], timeout=_INTERVAL)
            await dialling
        finally:
            dialling.cancel()
            await asyncio.wait([dialling])
        show(self._progress())

    def outcome(self, once: int) -> Outcome:
        """What came of it, where `once` leads were dialled exactly once."""
        return Outcome(
            dialer="gate" if self._plan.gated else "loop",
            seed=self._plan.seed,
            leads=self._plan.leads,
            limit=_WORKSPACE.limit,
            ceiling=_WORKSPACE.limit + BURST,
            dialled_once=once,
            failed=self._faults.number,
            truth=self._workspace.truth(),
        )

    def _progress(self) -> Progress:
        return Progress(
            leads=self._plan.leads,
            limit=_WORKSPACE.limit,
            ceiling=_WORKSPACE.limit + BURST,
            failed=self._faults.number,
            truth=self._workspace.truth(),
            reckoning=self._dialer.reckoning(),
        )


def _session(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        server.url,
        headers={"Authorization": f"Bearer {server.api_key}"},
        raise_for_status=True,
    )


@asynccontextmanager
async def _dialer(
    plan: Plan, server: Server, session: aiohttp.ClientSession, caller: Caller
) -> AsyncIterator[_Dialer]:
    if plan.gated:
        async with gate_dialer(server, caller) as dialer:
            yield dialer
    else:
        yield LoopDialer(session, caller)
