"""The records of a simulated workspace: its calls, its refusals, and the true totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Call", "CallRefused", "CallStatus", "CallTooFast", "Direction", "Truth"]

Direction = Literal["outbound", "inbound"]
"""Whether the dialer under test placed a call, or somebody else called in."""

CallStatus = Literal["registered", "ongoing", "ended", "not_connected", "error"]
"""The provider's words, in this order, for a call that is ringing, is answered, is over after an
answer, is over without one, and was refused."""


class CallRefused(Exception):
    """The workspace refused a call: one more would exceed the outbound ceiling.

    If this leaves a gate's block, because the workspace is dialled without a server, the gate has
    to be told what it means: ``open_gate(refused=lambda error: isinstance(error, CallRefused))``.

    Attributes:
        status_code: 429, as in the exceptions of the provider's clients.
    """

    status_code: Final = 429


class CallTooFast(CallRefused):
    """The workspace had room, but refused a call that came faster than its trunk's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as it stands; times are seconds on the workspace's clock, None if not yet.

    Attributes:
        placed_at: when it began; an inbound call is answered at once.
        disconnection_reason: why the call ended: the reason of its `Fate`, ``"manual_stopped"``, or
            ``"concurrency_limit_reached"`` if it was refused; None while it is live.
    """

    call_id: str
    status: CallStatus
    from_number: str
    to_number: str
    agent_id: str
    metadata: Mapping[str, object] | None
    placed_at: float
    answered_at: float | None = None
    ended_at: float | None = None
    disconnection_reason: str | None = None
    direction: Direction = "outbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The true totals of a workspace since its start.

    Two truths can be subtracted: the difference of ``call_seconds`` over that of ``elapsed`` is the
    average count between them.

    Attributes:
        elapsed: seconds since the start.
        count: calls that count against the limits now.
        outbound_count: the outbound calls among them.
        live: calls going on now, whether or not they count.
        peak: the highest count so far.
        worst_excess: the most by which an outbound call, when it began to count, brought the count
            above what the rule allowed at the time of its dial (`OutboundRule.excess`); negative if
            the count stayed below, None before the first call. Above 0 only if calls count from
            their answer, or are refused by the reported number.
        placed, answered, ended: outbound calls that were not refused; `ended` includes the
            unanswered ones.
        refusals: outbound calls refused, in any form and for any cause.
        rate_refusals: the refused calls that had room, but came too fast.
        most_dials_in_a_second: dials on any one trunk within any rolling second, at most, refused
            ones included. A dial exactly one second after another is not in the same second.
        inbound_started, inbound_ended, inbound_turned_away: inbound calls, by others.
        call_seconds: the integral of `count`.
        live_seconds: the integral of `live`.
        seconds_over_limit: seconds with the count above the normal limit of that time.
        surcharge_seconds: the part of `call_seconds` due to calls that began to count above the
            normal limit; the provider charges more for their whole length.
        readings: how often `Workspace.concurrency` was called.
    """

    elapsed: float
    count: int
    outbound_count: int
    live: int
    peak: int
    worst_excess: int | None
    placed: int
    answered: int
    ended: int
    refusals: int
    rate_refusals: int
    most_dials_in_a_second: int
    inbound_started: int
    inbound_ended: int
    inbound_turned_away: int
    call_seconds: float
    live_seconds: float
    seconds_over_limit: float
    surcharge_seconds: float
    readings: int
