"""The simulated workspaces of the campaign benchmark: a limit of 20 calls, and a rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from callguard.simulator import CpsRefusal, CpsRule, Exponential
from tests.campaigns.one_gate import workspace_of_the_issue
from tests.campaigns.plan import Plan

__all__ = ["DEFAULT_RATE", "EVERY_WORKSPACE", "FURTHER", "WORKSPACES", "Kind", "Rate", "plan_in"]


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast calls may start, as `WorkspaceSettings` has it, and how evenly dials arrive.

    Attributes:
        cps, rule, refusal: of the workspace.
        jitter: seconds by which a dial takes longer or shorter than others, at most.
    """

    cps: float | None = 1.0
    rule: CpsRule = "window"
    refusal: CpsRefusal = "429"
    jitter: float = 0.02


DEFAULT_RATE = Rate()
"""The provider's default."""


@dataclass(frozen=True, slots=True)
class Kind:
    """In what one workspace differs from another.

    Attributes:
        counts_ringing: whether a call counts while it rings.
        inbound_rate: calls that others start, in calls per second.
        reserved_inbound: calls that the provider keeps for those.
        reserve: calls that a gate leaves to those which come between two readings.
        inbound_apart: whether the provider keeps them from outbound calls alone, as documented.
        refuses_by_reported: whether it refuses by its late counter.
        hanging: the share of the readings that hang.
        requests_per_minute: requests that it answers; None for all.
    """

    counts_ringing: bool = True
    inbound_rate: float = 0.0
    reserved_inbound: int = 0
    reserve: int = 0
    inbound_apart: bool = False
    refuses_by_reported: bool = False
    hanging: float = 0.0
    requests_per_minute: int | None = None


WORKSPACES: Mapping[str, Kind] = {
    "ringing calls are counted": Kind(),
    "ringing calls are not counted": Kind(counts_ringing=False),
    "ringing calls are counted, and others call in": Kind(
        inbound_rate=1 / 180, reserved_inbound=4, reserve=2
    ),
}
"""By name, in the order of the tables.

In the last, a call comes in every three minutes, for six minutes on average: two go on at a time,
and more than the four that are kept for them in one second of twenty. What a reading can't show yet
is of the last two or three seconds: two calls come in within them six times in a day, three once in
a month, so that is what a gate has to leave free.
"""

FURTHER: Mapping[str, Kind] = {
    "ringing calls are counted, and others call in, apart from outbound calls": Kind(
        inbound_rate=1 / 180, reserved_inbound=4, reserve=2, inbound_apart=True
    ),
    "calls are refused by the late counter": Kind(refuses_by_reported=True),
    "one reading in ten hangs": Kind(hanging=0.1),
    "300 requests a minute are answered": Kind(requests_per_minute=300),
}
"""More of them, by name, that are asked for by name; ringing calls are counted in each."""

EVERY_WORKSPACE: Mapping[str, Kind] = {**WORKSPACES, **FURTHER}

INBOUND_TALK = Exponential(360.0)


def plan_in(kind: Kind, *, leads: int, seed: int, burst: bool, rate: Rate = DEFAULT_RATE) -> Plan:
    """The campaign in such a workspace, where calls may burst as the provider's formula has it."""
    settings = workspace_of_the_issue(seed, counts_ringing=kind.counts_ringing)
    burst_limit = min(3 * settings.limit, settings.limit + 300) if burst else 0
    settings = replace(
        settings,
        burst_limit=burst_limit,
        reserved_inbound=kind.reserved_inbound,
        inbound_rate=kind.inbound_rate,
        inbound_talk_time=INBOUND_TALK,
        inbound_apart=kind.inbound_apart,
        refuses_by_reported=kind.refuses_by_reported,
        cps=rate.cps,
        cps_rule=rate.rule,
        cps_refusal=rate.refusal,
    )
    return Plan(
        settings,
        leads=leads,
        reserve=kind.reserve,
        hanging=kind.hanging,
        requests_per_minute=kind.requests_per_minute,
        dial_jitter=rate.jitter,
    )
