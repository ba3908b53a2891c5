"""What a campaign dials, and what came of it: the same words for every campaign."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from typing import Literal

from callguard.simulator import FAULTS, Fault, WebhookPlan
from callguard.simulator import WorkspaceSettings as Settings

__all__ = ["Evidence", "Plan", "Report", "Settings"]


@dataclass(frozen=True)
class Evidence:
    """How the gate learns what became of a call: by asking, or by webhooks that may go wrong."""

    asking: bool = False
    webhooks: WebhookPlan | None = None


@dataclass(frozen=True)
class Plan:
    """What is dialled, what goes wrong, and what the gates are told of the workspace.

    Attributes:
        settings: the workspace.
        leads: who is to be called, at most.
        seconds: for how long leads are begun.
        counts_ringing, counter_lag, reserve, cps: what the gates are told.
        reserved_inbound: which calls leave the slots free that are reserved for inbound ones, by
            what the gates are told.
        ends_free_at_once: whether the gates are told that an ended call makes room at once.
        evidence: what they learn of calls; None for nothing.
        faults_rate: the share of the readings that goes wrong.
        faults: what may go wrong with them.
        hanging: the share of the readings that hang, apart from those.
        requests_per_minute: requests that the provider answers; None for all.
        reading_seconds, dial_seconds: how long each takes, where the network isn't real.
        dial_jitter: seconds by which a dial takes longer or shorter, at most.
        workers: gates that share a ledger, each in a process of its own.
        kill_every: seconds between two kills of a worker; None for no kills.
        most_kills: kills at most.
        lease: seconds until what a killed worker was dialling counts as placed.
    """

    settings: Settings
    leads: int = 2000
    seconds: float = math.inf
    counts_ringing: bool | None = None
    counter_lag: float = 2.0
    reserve: int = 0
    cps: float | None = None
    reserved_inbound: Literal["total", "outbound"] = "total"
    ends_free_at_once: bool = False
    evidence: Evidence | None = None
    faults_rate: float = 0.0
    faults: tuple[Fault, ...] = FAULTS
    hanging: float = 0.0
    requests_per_minute: int | None = None
    reading_seconds: float = 0.1
    dial_seconds: float = 0.2
    dial_jitter: float = 0.0
    workers: int = 1
    kill_every: float | None = None
    most_kills: int = sys.maxsize
    lease: float = 2.0

    def dial_time(self, draw: random.Random) -> float:
        """Seconds that the next dial takes until the provider has it."""
        jitter = draw.uniform(-self.dial_jitter, self.dial_jitter)
        return max(0.0, self.dial_seconds + jitter)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of it, by the simulator's own count.

    Attributes:
        leads: leads that were begun.
        placed: calls that were placed.
        excess: peak count less the ceiling.
        refusals: calls that the provider refused.
        too_fast: those of them that came faster than calls may start.
        most_dials: within any rolling second, those that were refused among them.
        twice: leads dialled more than once, whoever did; a lead set apart may be dialled once.
        not_dialled: leads never dialled, other than those set apart.
        left_over: permits on the ledger when all is over.
        share: of the limit, by the calls that were going on while leads waited.
        readings, failed: readings while leads waited, and those that failed.
        seconds: for which the share and the two rates were measured.
        readings_per_second, failed_per_second: readings in that time, and those that failed.
        set_apart: leads in flight when their worker was killed.
        kills: workers killed.
        lost: permits that living workers were told to have lost.
        tasks_left, sockets_left: what was not closed.
    """

    leads: int
    placed: int
    excess: int
    refusals: int
    twice: int
    not_dialled: int
    share: float
    too_fast: int = 0
    most_dials: int = 0
    left_over: int = 0
    readings: int = 0
    failed: int = 0
    seconds: float = math.nan
    readings_per_second: float = math.nan
    failed_per_second: float = math.nan
    set_apart: int = 0
    kills: int = 0
    lost: int = 0
    tasks_left: int = 0
    sockets_left: int = 0

    @property
    def dialled_once(self) -> bool:
        """Whether each lead was dialled, and none again."""
        return not (self.twice or self.not_dialled)

    @property
    def clean(self) -> bool:
        """Whether the promise was kept, and nothing left behind."""
        left = self.left_over, self.lost, self.tasks_left, self.sockets_left
        return self.excess <= 0 and self.dialled_once and not (self.refusals or any(left))
