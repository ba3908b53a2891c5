"""The campaign of the demo: leads, a dialer and a simulated workspace, over real HTTP.

Time is forty times as fast: a call of a minute lasts 1.5 s, and eleven minutes of dialling take a
quarter of a minute.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from callguard.demo.gated import BURST, gate_dialer
from callguard.demo.leads import Caller, Lead, dialled_once, leads, session_of
from callguard.demo.looped import LoopDialer
from callguard.demo.progress import Outcome, Progress, Reckoning
from callguard.demo.shared import shared_dialer
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
"""The share of the requests for the limits that fail."""

_LONGEST: Final = 28.0
"""Seconds after which a campaign is given up."""

_LONGEST_START: Final = 10.0
"""Seconds more for a campaign of many processes: they have to start, and a new ledger admits nobody
for a second."""

_INTERVAL: Final = 0.1
"""Seconds between two looks at the campaign."""

_WORKSPACE: Final = WorkspaceSettings(
    limit=20,
    cps=None,
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
    """What to dial, and how.

    Args:
        leads: the number of leads.
        seed: the seed of the workspace's draws.
        gated: whether the dialer uses a gate, or dials as most people do.
        workers: how many processes dial, each through its own gate.
        ledger: the address of the server that keeps the gates' ledger; None for one process with
            a ledger in memory.
        api_key: the workspace's key. It names the ledger too, so each campaign has its own.
    """

    leads: int
    seed: int
    gated: bool
    workers: int = 1
    ledger: str | None = None
    api_key: str = field(default_factory=lambda: f"key_demo_{uuid.uuid4().hex}", repr=False)


class _Dialer(Protocol):
    async def dial(self, leads: Sequence[Lead]) -> None: ...

    def reckoning(self) -> Reckoning: ...


class _CountedFaults(Faults):
    """Faults that count how many there were."""

    __slots__ = ("number",)

    def __init__(self, seed: int) -> None:
        super().__init__(rate=FAULT_RATE, kinds=_FAULTS, seed=seed)
        self.number = 0

    def next(self, elapsed: float) -> Fault | None:
        fault = super().next(elapsed)
        self.number += fault is not None
        return fault


async def run(
    plan: Plan, show: Callable[[Progress], None], complain: Callable[[str], None]
) -> Outcome:
    """Run the campaign, for half a minute at most.

    Args:
        plan: what to dial, and how.
        show: called with the progress ten times a second, and once at the end.
        complain: called with a sentence when one of the plan's processes fails.

    Raises:
        LedgerUnavailable: the ledger's server can't be reached.
        UsageError: its address can't be used.
        MissingExtra: redis-py is not installed.
    """
    faults = _CountedFaults(plan.seed)
    async with (
        serve(
            _WORKSPACE, seed=plan.seed, api_key=plan.api_key, latency=_LATENCY, faults=faults
        ) as server,
        _dialer(plan, server, faults, complain) as (dialer, call_ids),
    ):
        campaign = _Campaign(plan, server, faults, dialer)
        with suppress(TimeoutError):
            await campaign.run(show)
        return campaign.outcome(dialled_once(call_ids, server.workspace))


class _Campaign:
    def __init__(self, plan: Plan, server: Server, faults: _CountedFaults, dialer: _Dialer) -> None:
        self._plan = plan
        self._workspace = server.workspace
        self._faults = faults
        self._dialer = dialer

    async def run(self, show: Callable[[Progress], None]) -> None:
        """Dial, and show the progress. An exception of `show` ends the campaign.

        Raises:
            TimeoutError: the campaign took too long.
        """
        dialling = asyncio.create_task(self._dialer.dial(leads(self._plan.leads)))
        try:
            async with asyncio.timeout(_LONGEST + (_LONGEST_START if self._plan.ledger else 0.0)):
                while not dialling.done():
                    show(self._progress())
                    await asyncio.wait([dialling], timeout=_INTERVAL)
            await dialling
        finally:
            dialling.cancel()
            await asyncio.wait([dialling])
        show(self._progress())

    def outcome(self, once: int) -> Outcome:
        """The outcome, given that `once` leads were dialled exactly once."""
        return Outcome(
            dialer="gate" if self._plan.gated else "loop",
            workers=self._plan.workers,
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


@asynccontextmanager
async def _dialer(
    plan: Plan, server: Server, faults: _CountedFaults, complain: Callable[[str], None]
) -> AsyncIterator[tuple[_Dialer, list[str]]]:
    """The plan's dialer, and the ids of the calls that it has placed."""
    async with session_of(server.url, server.api_key) as session:
        caller = Caller(session)
        if plan.ledger is not None:
            async with shared_dialer(
                server,
                plan.ledger,
                plan.workers,
                caller.call_ids,
                readings=lambda: server.workspace.truth().readings - faults.number,
                complain=complain,
            ) as shared:
                yield shared, caller.call_ids
        elif plan.gated:
            async with gate_dialer(server.url, server.api_key, caller) as gated:
                yield gated, caller.call_ids
        else:
            yield LoopDialer(session, caller), caller.call_ids
