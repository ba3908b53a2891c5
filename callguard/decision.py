"""The rule of admission, written once: numbers in, `Decision` out.

The laws that this file holds:

- A lane's ceiling is a pure function of the `Limits` and the `Lane`, and of others' calls where
  inbound calls are counted apart; see `Ceilings.of`.
- A call is admitted if and only if ``usage + 1 <= ceiling``, its trunk is due and not full, and
  neither its lane nor its trunk is paused.
- A burst limit below the limit never lowers a ceiling.
- Without a snapshot, with one older than `max_age`, or with one taken before the provider's last
  refusal, nothing is admitted: an unknown count is never 0. Nor is anything admitted while the
  ledger withholds its slots.

Nothing here waits, logs or reads a clock; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal, NamedTuple

from callguard.eta import Eta
from callguard.lanes import Lane
from callguard.limits import Limits, Snapshot

__all__ = [
    "Ceilings",
    "Constraint",
    "Decision",
    "OnTrunk",
    "Outage",
    "Pause",
    "Tier",
    "Usage",
    "Withheld",
    "decide",
]

Tier = Literal["normal", "burst"]
"""What a call costs: nothing extra, or burst's surcharge for as long as it lasts."""

Withheld = Literal["ledger away", "local share", "ledger lost", "snapshot spent"]
"""Why a ledger gives no slot, whatever it counts.

In this order: its server can't be reached; its server can't be reached, and this gate's local share
is used up; it is new or was lost, so calls from before may be missing; the provider has refused a
call since the snapshot.
"""

Constraint = Literal[
    "paused",
    Withheld,
    "no snapshot",
    "snapshot too old",
    "limit",
    "burst limit",
    "lane burst",
    "reserve",
    "trunk full",
    "rate",
]
"""The reason why a call is denied.

"paused" comes before all others. The reasons of the ledger are those of `Withheld`. Those of the
snapshot are that there is none, or that it is older than `max_age`. Those of the counts are the
workspace's limit, its burst limit, the lane's own right to burst, and slots that are free but
reserved. "trunk full" means that there is room, but the trunk has as many calls as it takes, and
"rate" that the trunk is not due.
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """The most calls that can be going on now, and its parts; in calls.

    Attributes:
        reported: the snapshot's count, or None without a snapshot.
        dialling: permits whose dial has not returned.
        uncounted: placed calls that the snapshot may have missed.
        counted: calls of the ledger's own that the snapshot surely counts, and that can be going
            on still. None until the end of a call was reported. On a shared ledger, None unless
            inbound calls are counted apart or ends free at once, since only then its own calls are
            listed.
        ended: how many of the reported calls are over by now, or are in the usage a second time as
            dialling or uncounted, as the snapshots in hand prove; 0 unless ends free at once.
    """

    reported: int | None
    dialling: int
    uncounted: int
    counted: int | None = None
    ended: int = 0

    @property
    def total(self) -> int | None:
        """The sum less `ended`, or None if the reported part is unknown."""
        if self.reported is None:
            return None
        return self.reported + self.dialling + self.uncounted - self.ended

    @property
    def own(self) -> int | None:
        """The most calls of the ledger's own that can be going on; None if that is unknown."""
        if self.counted is None:
            return None
        return self.dialling + self.uncounted + self.counted

    @property
    def others(self) -> int | None:
        """The most of the reported calls that can be others'; None if that is unknown.

        An own call that is known to be over is one of these until a snapshot misses it, unless ends
        free at once.
        """
        if self.reported is None or self.counted is None:
            return None
        return self.reported - self.ended - self.counted

    @property
    def others_at_least(self) -> int | None:
        """The reported calls that surely are others'; None if that is unknown.

        The snapshot may count any of the calls that are dialling or uncounted.
        """
        if self.others is None:
            return None
        return max(0, self.others - self.dialling - self.uncounted)

    @property
    def whose(self) -> str:
        """How many calls are own ones and others', in words."""
        if self.others is None:
            return "ours and others unknown"
        at_most = "" if self.others == self.others_at_least else "up to "
        others = "1 other" if self.others == 1 else f"{self.others} others"
        return f"{self.own} ours, {at_most}{others}"

    @property
    def left_out(self) -> str:
        """What is left out of the reported calls, in words that follow their number; or ""."""
        return f", {self.ended} of them over or counted twice" if self.ended else ""

    def as_json(self) -> dict[str, int | None]:
        """Return the parts and the sums, as a JSON object; what is unknown is null."""
        return asdict(self) | {"total": self.total, "own": self.own, "others": self.others}


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The highest usage to which a lane may go, in calls; negative if reserves exceed the limit.

    Attributes:
        normal: without burst.
        burst: with burst, or None if the lane or the workspace doesn't have burst.
        included: the usage up to which the provider charges no surcharge for burst, whatever the
            lane's reserve is.
    """

    normal: int
    burst: int | None
    included: int

    @classmethod
    def of(cls, limits: Limits, lane: Lane, inbound: int | None = None) -> Ceilings:
        """The ceilings of `lane` under `limits`.

        If all calls count together, the slots reserved for inbound are kept free beside the lane's
        own. If inbound calls are counted apart, there must be ``usage + 1 <= cap - lane.reserve``
        and ``min(own, usage) + 1 <= cap - reserved``. Since others' calls are the usage less the
        own, the second is the same as ``usage + 1 <= cap - reserved + others``: a ceiling of the
        usage that others' calls raise, up to the first.

        Args:
            limits: the provider's answer.
            lane: whose ceilings.
            inbound: others' calls, at least 0, where inbound calls are counted apart; else None.
        """
        kept_free = limits.reserved_inbound_concurrency + lane.reserve
        included = limits.concurrency_limit - limits.reserved_inbound_concurrency
        if inbound is not None:
            kept_free = max(lane.reserve, limits.reserved_inbound_concurrency - inbound)
            included = min(limits.concurrency_limit, included + inbound)
        normal = limits.concurrency_limit - kept_free
        if not (lane.burst and _bursts(limits)):
            return cls(normal, None, included)
        return cls(normal, _burst_cap(limits, lane) - kept_free, included)

    @property
    def highest(self) -> int:
        """The ceiling that decides whether a call is admitted."""
        return self.normal if self.burst is None else self.burst

    def tier(self, usage: int) -> Tier:
        """The tier of a call that brings the usage to `usage` calls."""
        return "normal" if usage <= self.included else "burst"


class OnTrunk(NamedTuple):
    """The own calls that can be on a trunk that takes only so many at once.

    Attributes:
        calls: how many.
        most: how many the trunk takes.
    """

    calls: int
    most: int

    @property
    def full(self) -> bool:
        """Whether no call may come on top."""
        return self.calls >= self.most

    def __str__(self) -> str:
        return f"{self.calls} of {self.most} calls"


@dataclass(frozen=True, slots=True)
class Outage:
    """The limits can't be read.

    Attributes:
        error: the error of the latest attempt, or a note that it has had no answer yet.
        seconds: seconds since the first failed attempt began.
    """

    error: str
    seconds: float

    def __str__(self) -> str:
        return f"unable to read the limits for {self.seconds:.1f} s, the latest error: {self.error}"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of everything, of a lane, of a trunk, or of a lane on a trunk.

    Attributes:
        lane: the lane's name; None for all lanes.
        trunk: the trunk's name; None for all trunks.
        by: the machine's name and the id of the process that made the pause.
        seconds: seconds since the pause was made.
        reason: the reason that was given; may be empty.
    """

    lane: str | None
    trunk: str | None
    by: str
    seconds: float
    reason: str

    def __str__(self) -> str:
        lane = "" if self.lane is None else f"lane {self.lane!r} "
        trunk = "" if self.trunk is None else f"trunk {self.trunk!r} "
        both = "on " if lane and trunk else ""
        why = f' ("{self.reason}")' if self.reason else ""
        return f"{lane}{both}{trunk}paused from {self.by} {_ago(self.seconds)} ago{why}"


def _ago(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one more call fits, with every number that the decision was made from.

    ``str(decision)`` is one sentence for people.

    Attributes:
        admitted: whether the call fits.
        lane: the lane that asked.
        constraint: the reason why the call is denied; None if it fits.
        tier: what the call costs; None if it doesn't fit.
        usage: the usage before the call.
        ceilings: the lane's ceilings; None without a snapshot.
        limits: the provider's answer; None without a snapshot.
        age: seconds since the snapshot began; None without a snapshot.
        max_age: seconds that a snapshot may be trusted.
        outage: since when the limits can't be read, and why; None if they can, or nobody tries.
        trunk: the name of the call's trunk; None if that is not limited.
        lifts_in: seconds until the constraint may be lifted: until the next reading may begin,
            until the trunk is due, or `eta.p50` for a limit; 0 if the call fits, None if unknown.
        eta: how long a caller that joined the queue now would wait, by the recent rate of grants;
            None if unknown.
        pause: the pause that applies to the call; None if none does.
        on_trunk: the calls on the trunk; None if it takes any number.
        premises: a sentence for each premise of the promise that this gate has seen broken: the
            setting, what was seen, and what to set.
        inbound: others' calls, where inbound calls are counted apart; None where all calls are
            counted together.
        given_up: the settings that rest on the provider's word alone, and that a refusal has ended.
        ringing_learnt: whether the gate has learnt, and goes by it, that ringing calls are counted.
    """

    admitted: bool
    lane: Lane
    constraint: Constraint | None
    tier: Tier | None
    usage: Usage
    ceilings: Ceilings | None
    limits: Limits | None
    age: float | None
    max_age: float
    outage: Outage | None = None
    trunk: str | None = None
    lifts_in: float | None = None
    eta: Eta | None = None
    pause: Pause | None = None
    on_trunk: OnTrunk | None = None
    premises: tuple[str, ...] = ()
    inbound: int | None = None
    given_up: tuple[str, ...] = ()
    ringing_learnt: bool = False

    @property
    def headroom(self) -> int | None:
        """How many calls still fit, None without a snapshot.

        It is negative after a limit was lowered, and while calls may be counted twice.
        """
        if self.ceilings is None or self.usage.total is None:
            return None
        return self.ceilings.highest - self.usage.total

    def __str__(self) -> str:
        verdict = "admitted" if self.admitted else "denied"
        outage = "" if self.outage is None else f"; {self.outage}"
        broken = (f"; a premise of the promise does not hold, {why}" for why in self.premises)
        return f"{verdict}: {_reason(self)}{_when(self)}{outage}{_beliefs(self)}{''.join(broken)}"


def decide(
    lane: Lane,
    usage: Usage,
    snapshot: Snapshot | None,
    *,
    now: float,
    max_age: float,
    withheld: Withheld | None = None,
    outage: Outage | None = None,
    trunk: str | None = None,
    due_in: float | None = None,
    reading_in: float | None = None,
    eta: Eta | None = None,
    pause: Pause | None = None,
    on_trunk: OnTrunk | None = None,
    inbound: int | None = None,
) -> Decision:
    """Decide whether one more call of `lane` fits on top of `usage`.

    Args:
        lane: the lane that asks.
        usage: the usage before the call.
        snapshot: the latest snapshot, or None.
        now: seconds, on the clock that dated the snapshot.
        max_age: seconds that a snapshot may be trusted.
        withheld: why the ledger gives no slot, if it gives none.
        outage: since when the limits can't be read, and why.
        trunk: the name of the call's trunk; None if that is not limited.
        due_in: seconds until the trunk is due, at least 0; None if it has no rate.
        reading_in: seconds until the next reading may begin, at least 0; None if unknown.
        eta: how long a caller that joined the queue now would wait, by the recent rate of grants;
            None if unknown.
        pause: the pause that applies to the lane and the trunk, if there is one.
        on_trunk: the calls on the trunk; None if it takes any number.
        inbound: others' calls, where inbound calls are counted apart; else None.
    """
    ceilings = None if snapshot is None else Ceilings.of(snapshot.limits, lane, inbound)
    age = None if snapshot is None else now - snapshot.began
    constraint = _constraint(lane, usage, snapshot, ceilings, age, max_age, withheld)
    if constraint is None and on_trunk is not None and on_trunk.full:
        constraint = "trunk full"
    if constraint is None and due_in:
        constraint = "rate"
    if pause is not None:
        constraint = "paused"
    if constraint is None:
        eta = Eta(0.0, 0.0)
    lifts_in = _lifts_in(constraint, due_in, reading_in, eta)
    tier: Tier | None = None
    if constraint is None and ceilings is not None and usage.total is not None:
        tier = ceilings.tier(usage.total + 1)
    return Decision(
        admitted=constraint is None,
        lane=lane,
        constraint=constraint,
        tier=tier,
        usage=usage,
        ceilings=ceilings,
        limits=None if snapshot is None else snapshot.limits,
        age=age,
        max_age=max_age,
        outage=outage,
        trunk=trunk,
        lifts_in=lifts_in,
        eta=None if eta is None or lifts_in is None else eta.at_least(lifts_in),
        pause=pause,
        on_trunk=on_trunk,
        inbound=inbound,
    )


def _lifts_in(
    constraint: Constraint | None,
    due_in: float | None,
    reading_in: float | None,
    eta: Eta | None,
) -> float | None:
    if constraint is None:
        return 0.0
    if constraint == "rate":
        return due_in
    if constraint in _AWAIT_A_READING:
        return reading_in
    if eta is None or constraint == "paused" or constraint in _WITHHELD:
        return None
    return eta.p50


def _constraint(
    lane: Lane,
    usage: Usage,
    snapshot: Snapshot | None,
    ceilings: Ceilings | None,
    age: float | None,
    max_age: float,
    withheld: Withheld | None,
) -> Constraint | None:
    if withheld == "ledger away":
        return withheld
    if snapshot is None or ceilings is None or age is None or usage.total is None:
        return "no snapshot"
    if withheld is not None:
        return withheld
    if age > max_age:
        return "snapshot too old"
    if usage.total + 1 <= ceilings.highest:
        return None
    return _binding_limit(lane, usage.total, snapshot.limits, ceilings)


def _binding_limit(lane: Lane, usage: int, limits: Limits, ceilings: Ceilings) -> Constraint:
    if usage < _cap(limits, lane):
        return "reserve"
    if ceilings.burst is None:
        return "limit"
    if _cap(limits, lane) < limits.concurrency_burst_limit:
        return "lane burst"
    return "burst limit"


def _bursts(limits: Limits) -> bool:
    return (
        limits.concurrency_burst_enabled
        and limits.concurrency_burst_limit > limits.concurrency_limit
    )


def _burst_cap(limits: Limits, lane: Lane) -> int:
    if lane.burst == "all":
        return limits.concurrency_burst_limit
    return min(limits.concurrency_burst_limit, limits.concurrency_limit + lane.burst)


def _cap(limits: Limits, lane: Lane) -> int:
    """The ceiling before reserves are subtracted."""
    if lane.burst and _bursts(limits):
        return _burst_cap(limits, lane)
    return limits.concurrency_limit


_EXACT_BELOW: Final = 9.95
"""Seconds below which a wait is shown in tenths."""

_AWAIT_A_READING: Final[Collection[Constraint]] = {
    "no snapshot",
    "snapshot too old",
    "snapshot spent",
    "ledger lost",
}
"""The constraints that only a later snapshot can lift."""

_WITHHELD: Final[Mapping[Constraint | None, str]] = {
    "ledger away": "the ledger's server can't be reached",
    "local share": "the ledger's server can't be reached, and this gate's own share is used up",
    "ledger lost": (
        "the ledger is new or was lost; awaiting a snapshot that shows all calls from before"
    ),
    "snapshot spent": "the provider refused a call after the last snapshot; awaiting a later one",
}


def _reason(decision: Decision) -> str:
    usage, limits, age = decision.usage, decision.limits, decision.age
    unsettled = f"{usage.dialling} dialling, {usage.uncounted} uncounted"
    reported = "" if age is None else f"{usage.reported} reported {age:.1f} s ago{usage.left_out}, "
    whose = "" if usage.others is None else f"{usage.whose}; "
    parts = f"({whose}{reported}{unsettled})"
    if decision.pause is not None:
        return f"{decision.pause} {parts}"
    if decision.constraint in _WITHHELD:
        return f"{_WITHHELD[decision.constraint]} {parts}"
    if limits is None:
        return f"no snapshot of the limits yet {parts}"
    if decision.constraint == "snapshot too old":
        return f"the last snapshot is older than {decision.max_age:g} s {parts}"
    return (
        f"{_of_trunk(decision)}{usage.total} of {_cap(limits, decision.lane)} in use {parts}; "
        f"{_reserve(limits, decision)}; {_burst(limits, decision.lane)}"
    )


def _beliefs(decision: Decision) -> str:
    """What was learnt, and what was given up; "" if nothing was."""
    learnt = "; ringing calls are counted, as was learnt" if decision.ringing_learnt else ""
    given_up = (f"; {setting} was given up at a refusal" for setting in decision.given_up)
    return f"{learnt}{''.join(given_up)}"


def _of_trunk(decision: Decision) -> str:
    if decision.constraint == "trunk full":
        return f"trunk {decision.trunk!r} has {decision.on_trunk}; "
    if decision.constraint != "rate" or decision.lifts_in is None:
        return ""
    return f"trunk {decision.trunk!r} due in {max(0.1, decision.lifts_in):.1f} s; "


def _when(decision: Decision) -> str:
    """When the constraint lifts; "" if the reason says so already."""
    if decision.admitted or decision.constraint == "rate":
        return ""
    if decision.pause is not None:
        return "; until it is resumed"
    if decision.lifts_in is None:
        return "; until when is unknown"
    if decision.constraint not in _AWAIT_A_READING and decision.eta is not None:
        p50, p90 = _rounded(decision.eta.p50), _rounded(decision.eta.p90)
        return f"; by the present rate of grants yours is next in about {p50} s (p90 {p90} s)"
    if decision.lifts_in > 0.0:
        return f"; the next reading in {max(0.1, decision.lifts_in):.1f} s"
    return "; the next reading is due now"


def _rounded(seconds: float) -> str:
    return f"{max(0.1, seconds):.1f}" if seconds < _EXACT_BELOW else f"{seconds:.0f}"


def _reserve(limits: Limits, decision: Decision) -> str:
    reserved, ours = limits.reserved_inbound_concurrency, f"reserve {decision.lane.reserve}"
    if not reserved:
        return ours
    if decision.inbound is None:
        return f"{ours} and {reserved} for inbound"
    return f"{ours}; {reserved} for inbound, of which others have {min(reserved, decision.inbound)}"


def _burst(limits: Limits, lane: Lane) -> str:
    if not lane.burst:
        return f"burst not allowed on lane {lane.name!r}"
    if not _bursts(limits):
        return "burst off in the workspace"
    above = _burst_cap(limits, lane) - limits.concurrency_limit
    return f"burst of {above} above the limit allowed on lane {lane.name!r}"
