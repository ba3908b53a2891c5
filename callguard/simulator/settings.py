"""The settings of a simulated workspace."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeGuard, get_args

from callguard.simulator.distributions import Distribution, Exponential
from callguard.simulator.fates import Fate, is_script
from callguard.simulator.rule import OutboundRule

__all__ = [
    "CPS_REFUSALS",
    "CPS_RULES",
    "CpsRefusal",
    "CpsRule",
    "InvalidSetting",
    "WorkspaceSettings",
    "is_amount",
    "is_rate",
    "is_share",
    "require",
]

CpsRule = Literal["window", "spacing"]
"""How starts are counted: per rolling second, or by the time since the last start."""

CpsRefusal = Literal["429", "dead-call"]
"""How a dial that comes too fast is refused: by a 429, or by a call that dies at once."""

CPS_RULES: Final[tuple[CpsRule, ...]] = get_args(CpsRule)
CPS_REFUSALS: Final[tuple[CpsRefusal, ...]] = get_args(CpsRefusal)

_TALK_TIME = Exponential(60.0, at_most=3600.0)
_RING_TIME = Exponential(10.0, at_most=30.0)

_RATE: Final = "a finite number of calls per second, above 0"


class InvalidSetting(ValueError):
    """A setting can't be right.

    Attributes:
        setting: the setting's name.
        problem: what it must be, and what it is instead.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(setting, problem)
        self.setting = setting
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.setting} {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """The settings of a `Workspace`.

    The limit of 20 calls, the one call per second, the ring limit of 30 s and the longest talk of
    1 h are the provider's defaults (docs.retellai.com/deploy/concurrency, deploy/outbound-call and
    its agent settings, read 2026-11-22). The other defaults are only plausible: the provider
    doesn't say whether ringing calls count or how late its counter is, and nobody can say how
    people answer.

    Args:
        limit: calls that may be live at once.
        burst_limit: calls that may be live at once with burst; 0 if burst is off. The published
            formula, ``min(3 * limit, limit + 300)``, is not enforced.
        reserved_inbound: calls below every limit that are kept for inbound ones.
        inbound_apart: whether outbound calls alone may not go above the limit less that, as
            documented, or all calls together, where one more outbound call is asked for.
        cps: outbound phone calls that may start per second; None for no rule. A dial that comes
            faster is refused, even if there is room.
        trunks: the rates, like `cps`, of certain numbers that calls are placed from. Each of them
            is a trunk of its own; all other numbers share one trunk, with the rate `cps`.
        cps_rule: how starts are counted, which the provider doesn't publish. ``"window"``: at most
            ``floor(cps)`` in any rolling second, or one in any ``1 / cps`` seconds if `cps` is
            below 1. ``"spacing"``: no two closer than ``1 / cps`` seconds.
        cps_refusal: how a dial that comes too fast is refused, which isn't published either.
            ``"429"``: by that status. ``"dead-call"``: by a call that dies at once, with the status
            ``error`` and the published reason ``concurrency_limit_reached``. In both forms a
            refused dial is not a start: a dialer that keeps dialling too fast still gets the rate.
        talk_time: how long an answered call lasts after its answer, in seconds.
        ring_time: how long an answered call rings, in seconds, cut to `ring_limit`.
        answer_rate: the share of the dialled calls that are answered, from 0 to 1.
        ring_limit: seconds after which an unanswered call stops ringing.
        unanswered_ring: how long an unanswered call rings, in seconds, cut to `ring_limit`; None
            for as long as `ring_limit`.
        counts_ringing: whether a call counts while it rings, both in the reported number and
            against the limits.
        refuses_by_reported: whether outbound calls are refused by the reported number, which is
            late, instead of by the true count. The provider doesn't say.
        rise_lag: seconds after which the reported number shows that a call began to count.
        fall_lag: seconds after which it shows that a call no longer counts.
        inbound_rate: calls per second that come in, on average (a Poisson process). They are
            answered, and count, from their start.
        inbound_talk_time: how long inbound calls last, in seconds.
        inbound_respects_limit: whether an inbound call is turned away at the full limit (the
            burst limit, if that is higher). It never waits, although the provider lets it.
        clock_offset: seconds by which the provider's clock is ahead of a right one; negative if it
            is behind. Calls are stamped and answers dated by it.
        seed: the seed of every draw.
        numbers: scripted fates of the calls to certain numbers, instead of drawn ones: one fate
            for all calls to a number, or a sequence, of which each fate is for one call and the
            last one for all calls after it.

    Raises:
        InvalidSetting: a value can't be right; a ValueError.
    """

    limit: int = 20
    burst_limit: int = 0
    reserved_inbound: int = 0
    inbound_apart: bool = False
    cps: float | None = 1.0
    trunks: Mapping[str, float | None] = field(default_factory=dict)
    cps_rule: CpsRule = "window"
    cps_refusal: CpsRefusal = "429"
    talk_time: Distribution = _TALK_TIME
    ring_time: Distribution = _RING_TIME
    answer_rate: float = 0.7
    ring_limit: float = 30.0
    unanswered_ring: Distribution | None = None
    counts_ringing: bool = True
    refuses_by_reported: bool = False
    rise_lag: float = 1.0
    fall_lag: float = 1.0
    inbound_rate: float = 0.0
    inbound_talk_time: Distribution = _TALK_TIME
    inbound_respects_limit: bool = True
    clock_offset: float = 0.0
    seed: int = 0
    numbers: Mapping[str, Fate | Sequence[Fate]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("limit", "burst_limit", "reserved_inbound"):
            require(self, name, _is_count, "a whole number of calls, at least 0")
        if self.cps is not None:
            require(self, "cps", is_rate, _RATE)
        require(self, "trunks", _is_trunks, f"by number {_RATE}, or None")
        require(self, "cps_rule", CPS_RULES.__contains__, f"one of {', '.join(CPS_RULES)}")
        require(self, "cps_refusal", CPS_REFUSALS.__contains__, f"one of {', '.join(CPS_REFUSALS)}")
        for name in ("ring_limit", "rise_lag", "fall_lag"):
            require(self, name, is_amount, "a finite number of seconds, at least 0")
        require(self, "inbound_rate", is_amount, "a finite number of calls per second, at least 0")
        require(self, "clock_offset", _is_finite, "a finite number of seconds")
        require(self, "answer_rate", is_share, "a share from 0 to 1")
        for name in ("talk_time", "ring_time", "inbound_talk_time"):
            require(self, name, callable, "a distribution such as Constant(12.0)")
        if self.unanswered_ring is not None:
            require(self, "unanswered_ring", callable, "a distribution or None")
        require(self, "numbers", is_script, "fates by number, with at least one for each")

    @property
    def full_limit(self) -> int:
        """Calls that may be live at once: the burst limit if it is above the limit, else that."""
        return max(self.limit, self.burst_limit)

    @property
    def outbound_rule(self) -> OutboundRule:
        """What an outbound call is refused by; its ceiling is below 0 if the reserve exceeds it."""
        full = self.full_limit
        return OutboundRule(full, full - self.reserved_inbound, self.inbound_apart)


def require(settings: object, field: str, holds: Callable[[object], bool], expected: str) -> None:
    """Check that `holds` is true of the `field` of `settings`; `expected` describes what it asks.

    Raises:
        InvalidSetting: it isn't.
    """
    value = getattr(settings, field)
    if not holds(value):
        raise InvalidSetting(field, f"must be {expected}, got {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_amount(value: object) -> bool:
    """Whether this is a finite number, at least 0."""
    return _is_finite(value) and value >= 0


def _is_finite(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_rate(value: object) -> bool:
    """Whether this is a finite number above 0."""
    return is_amount(value) and value != 0


def _is_trunks(trunks: object) -> bool:
    return isinstance(trunks, Mapping) and all(
        isinstance(number, str) and (cps is None or is_rate(cps)) for number, cps in trunks.items()
    )


def is_share(value: object) -> bool:
    """Whether this is a number from 0 to 1."""
    return isinstance(value, int | float) and is_amount(value) and value <= 1
