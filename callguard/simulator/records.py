"""What a simulated workspace reports: a call, a refusal, and all that really went on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Call", "CallRefused", "CallStatus", "CallTooFast", "Truth"]

CallStatus = Literal["registered", "ongoing", "ended", "not_connected", "error"]
"""The provider's words: rings, was answered, was answered and is over, was never answered, was
refused."""


class CallRefused(Exception):
    """The workspace refused a call: one more would exceed what outbound calls may take up.

    A gate's block that lets this out, with no server between, needs to know what it means:
    ``open_gate(refused=lambda error: isinstance(error, CallRefused))``.

    Attributes:
        status_code: 429, as the provider's clients have it.
    """

    status_code: Final = 429


class CallTooFast(CallRefused):
    """The workspace refused a call though there was room: it came faster than its trunk's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An outbound call as it stands; times are seconds on the workspace's clock, None if not yet.

    Attributes:
        disconnection_reason: why the call ended: that of its `Fate`, ``"manual_stopped"``, or
            ``"concurrency_limit_reached"`` where it was refused; None while it goes on.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really went on in a workspace since its start.

    The integrals of two truths can be subtracted: ``call_seconds`` over ``elapsed`` is the average
    count in between.

    Attributes:
        elapsed: seconds since the start.
        count: calls that count against the limits now.
        live: calls going on now, whether or not they count.
        peak: the highest count so far.
        worst_excess: how far an outbound call that began to count brought the count above the
            ceiling that held when it was placed, at worst; negative if always below it, None
            before the first. Above 0 only where calls count from their answer.
        placed, answered, ended: outbound calls that were not refused; `ended` has the unanswered
            ones too.
        refusals: outbound calls refused, in whatever form and for whatever cause.
        rate_refusals: those of them that came too fast, though there was room.
        most_dials_in_a_second: dials on any one trunk within any rolling second, at most; those
            that were refused are among them. A second is over for what comes just a second later.
        inbound_started, inbound_ended, inbound_turned_away: calls by others.
        call_seconds: the integral of `count`.
        live_seconds: the integral of `live`.
        seconds_over_limit: seconds with the count above the normal limit of that time.
        surcharge_seconds: the part of `call_seconds` due to calls that began to count above the
            normal limit; the provider bills those higher for their whole length.
        readings: how often `Workspace.concurrency` was asked.
    """

    elapsed: float
    count: int
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
