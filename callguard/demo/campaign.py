"""The campaign of the demo: leads, a dialer and a simulated workspace, over real HTTP.

One process dials on a clock that jumps, in a workspace as people have it: a limit of 20 calls, one
call per second, a counter that is 1.5 s late and fails one time in ten, and calls by others. Many
processes dial in real time, `SPEED` times as fast, and so at as many calls per second. The gates
space them evenly; the workspace counts them over a real second, or over `SPEED` seconds of the
campaign. Over one of these the gates would have a slack of a millisecond, and no machine is as
punctual as that.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from callguard.demo.gated import gate_dialer
from callguard.demo.leads import Caller, Lead, dialled_once, leads, session_of
from callguard.demo.looped import LoopDialer
from callguard.demo.progress import Outcome, Progress, Reckoning
from callguard.demo.shared import shared_dialer
from callguard.demo.times import SPEED
from callguard.simulator import (
    Constant,
    Exponential,
    Fault,
    Faults,
    Server,
    Truth,
    Uniform,
    WorkspaceSettings,
    serve,
)

__all__ = ["FAULT_RATE", "GATE", "LOOP", "Plan", "run", "title"]

LOOP: Final = "read the count, dial what fits"
GATE: Final = "through callguard"
"""What the two ways to dial are called on the screen."""

FAULT_RATE: Final = 0.1
"""The share of the requests for the limits that fail."""

_LONGEST: Final = 1200.0
"""Seconds after which a campaign is given up."""

_LONGEST_START: Final = 10.0
"""Real seconds that many processes get on top: they have to start, and a new ledger admits nobody
for a second."""

_INTERVAL: Final = 4.0
"""Seconds between two looks at the campaign."""

_LIMIT: Final = 20

_EARLIEST: Final = 0.25
"""Real seconds that the counter is late at least, or a busy machine would be later."""

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

    @property
    def speed(self) -> float:
        """How many seconds of the campaign go by in one of the clock on which it is run."""
        return 1.0 if self.ledger is None else SPEED

    @property
    def workspace(self) -> WorkspaceSettings:
        """Where it is dialled; its burst is as the provider's formula has it."""
        second = 1 / self.speed
        late = 1.5 if self.ledger is None else _EARLIEST
        return WorkspaceSettings(
            limit=_LIMIT,
            burst_limit=min(3 * _LIMIT, _LIMIT + 300),
            cps=1 / second,
            talk_time=Exponential(60 * second, at_most=320 * second),
            ring_time=Exponential(10 * second, at_most=30 * second),
            answer_rate=0.8,
            ring_limit=30 * second,
            rise_lag=late,
            fall_lag=late,
            inbound_rate=0.005 / second,
            inbound_talk_time=Constant(200 * second),
            seed=self.seed,
        )


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


def title(plan: Plan) -> str:
    """What is dialled, and where, in one line."""
    where = f"limit {_LIMIT}, 1 call/s"
    return f"callguard demo: {plan.leads} leads, {where}, seed {plan.seed}"


async def run(
    plan: Plan, show: Callable[[Progress], None], complain: Callable[[str], None]
) -> Outcome:
    """Run the campaign, for twenty minutes of its time at most.

    Without a ledger this is to be run by `callguard.testing.run`, on a clock that jumps.

    Args:
        plan: what is dialled, and how.
        show: called with the progress every 4 s of it, and once at the end.
        complain: called with a sentence when one of the plan's processes fails.

    Raises:
        LedgerUnavailable: the ledger's server can't be reached.
        UsageError: its address can't be used.
        MissingExtra: redis-py is not installed.
    """
    faults = _CountedFaults(plan.seed)
    async with (
        serve(
            plan.workspace,
            api_key=plan.api_key,
            latency=Uniform(0.2 / plan.speed, 0.8 / plan.speed),
            faults=faults,
        ) as server,
        _dialer(plan, server, complain) as (dialer, call_ids),
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
        speed = self._plan.speed
        dialling = asyncio.create_task(self._dialer.dial(leads(self._plan.leads, speed=speed)))
        try:
            async with asyncio.timeout(_LONGEST / speed + _LONGEST_START):
                while not dialling.done():
                    show(self._progress())
                    await asyncio.wait([dialling], timeout=_INTERVAL / speed)
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
            limit=_LIMIT,
            dialled_once=once,
            failed=self._faults.number,
            truth=self._truth(),
        )

    def _progress(self) -> Progress:
        return Progress(
            leads=self._plan.leads,
            limit=_LIMIT,
            failed=self._faults.number,
            truth=self._truth(),
            reckoning=self._dialer.reckoning(),
        )

    def _truth(self) -> Truth:
        """What really went on, in seconds of the campaign."""
        truth, speed = self._workspace.truth(), self._plan.speed
        return replace(
            truth,
            elapsed=truth.elapsed * speed,
            call_seconds=truth.call_seconds * speed,
            live_seconds=truth.live_seconds * speed,
            seconds_over_limit=truth.seconds_over_limit * speed,
            surcharge_seconds=truth.surcharge_seconds * speed,
        )


@asynccontextmanager
async def _dialer(
    plan: Plan, server: Server, complain: Callable[[str], None]
) -> AsyncIterator[tuple[_Dialer, list[str]]]:
    """The plan's dialer, and the ids of the calls that it has placed."""
    async with session_of(server.url, server.api_key) as session:
        caller = Caller(session)
        if plan.ledger is not None:
            async with shared_dialer(
                server, plan.ledger, plan.workers, caller.call_ids, complain
            ) as shared:
                yield shared, caller.call_ids
        elif plan.gated:
            async with gate_dialer(server.url, server.api_key, caller) as gated:
                yield gated, caller.call_ids
        else:
            yield LoopDialer(session, caller), caller.call_ids
