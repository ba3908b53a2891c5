"""From a seed to a frozen plan: every draw that a world is made of is made here.

All times lie on a grid of sixteenths of a second, which a float holds exactly, so that things often
happen at the same instant and boundaries are met to the bit.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace
from typing import Final, Literal

from callguard.ledger.redis.settings import AT_ONCE

__all__ = [
    "CallPlan",
    "CallerPlan",
    "Cancelling",
    "DialPlan",
    "Eviction",
    "Failing",
    "GatePlan",
    "LanePlan",
    "Mishaps",
    "PausePlan",
    "Plan",
    "Restoration",
    "Rules",
    "Saying",
    "SharedPlan",
    "Step",
    "Trouble",
    "TrunkPlan",
    "Window",
    "WorkerPlan",
    "calm_rules",
    "draw",
    "draw_shared",
]

GRID = 16

Way = Literal["admit", "try", "short", "place", "place again"]
DialKind = Literal[
    "ok", "rate", "reply lost", "500 after", "500 before", "no connection", "reset after"
]
Naming = Literal["in block", "after", "never"]

LASTING = (
    "null count",
    "missing count",
    "text count",
    "fraction count",
    "negative count",
    "true count",
    "null limit",
    "broken json",
    "a list",
)
ODD_STATUSES = (204, 302, 400, 401, 401, 402, 403, 404, 405, 409, 410, 418, 425, 451)
"""Of a firewall, a deployment, or a page for people; but for two 401 in a row, none is final."""

TRANSIENT = ("500", "503", "cut", "hang", "429")

KEYS, OCCUPIED = 12, 12
"""Those that a ledger has on its server, but for the last: who is on trunks that fill."""

WRITES = ("HSET", "HSETNX", "HDEL", "ZADD", "ZREM", "PEXPIRE")
"""Commands of a script that an administrator may deny."""

LONGER_RINGING = 20.0
"""Seconds for which calls ring, beyond what the gate is told, in worlds that break that premise."""

UNTOLD_STEP = 0.25
"""Seconds of a step of the server's clock that a ledger can't tell from a late exchange, besides
what an exchange takes; where the clock steps, the counter has to be so much better than the gate is
told, for each."""


@dataclass(frozen=True, slots=True)
class LanePlan:
    """A lane, as `callguard.Lane` takes it."""

    name: str
    priority: int
    reserve: int
    burst: int | Literal["all"]
    max_wait: float | None
    max_waiting: int | None


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """A trunk, as `callguard.Trunk` takes it; the default one among them."""

    name: str
    cps: float | None
    window: float | None
    calls: int | None = None
    longest_call: float = 3600.0

    @property
    def most(self) -> int:
        """Starts in a `span` at most."""
        return 1 if self.window is None else math.floor((self.cps or 0.0) * self.window)

    @property
    def span(self) -> float:
        """Seconds, with the slack that is promised."""
        return 1.05 / (self.cps or math.inf) if self.window is None else 1.05 * self.window

    @property
    def late_by(self) -> float:
        """Seconds by which a start may be late without delaying the next one."""
        return min(0.02 * self.span, 0.005) if self.most == 1 else 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the workspace allows."""

    limit: int
    reserved_inbound: int
    burst_enabled: bool
    burst_limit: int


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What becomes of a call, and of the news of it; seconds.

    Attributes:
        rings: until it is answered, or given up.
        answered: whether anybody answers.
        talks: from the answer to the end.
        rise: after which the counter shows it; the counter's own lateness.
        fall: for which the counter shows it after its end.
        started: one delivery of the news that it was answered for each, so much later.
        ended: the same, of the news that it is over.
    """

    rings: float
    answered: bool
    talks: float
    rise: float
    fall: float
    started: tuple[float, ...]
    ended: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class DialPlan:
    """One request to place a call: what comes of it, and seconds there and back."""

    kind: DialKind
    flight: float
    back: float


@dataclass(frozen=True, slots=True)
class Cancelling:
    """When a caller is cancelled.

    Attributes:
        at: "seconds" after arrival, loop "turns" after arrival, or the "grant" itself.
        count: how many.
    """

    at: Literal["seconds", "turns", "grant"]
    count: float


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said of a permit once it has left its block, `after` so many seconds."""

    what: Literal["placed", "started", "ended", "cancel"]
    after: float


@dataclass(frozen=True, slots=True)
class CallerPlan:
    """One caller, who has one call to place.

    Attributes:
        arrives: seconds since the world began.
        lane: by name.
        trunk: by name; None for none.
        way: how it enters the gate.
        timeout: seconds to wait in the queue at most.
        thinks: seconds in the block before dialling.
        dials: what comes of each request; the last for all that follow.
        gives_up: whether it leaves without having dialled, and says so.
        fails: whether its body raises after the dial.
        lingers: seconds in the block after the dial.
        named: when `placed` is told.
        regrets: whether it says `cancel` after `placed`, which is without effect.
        tidy: whether it says `cancel` when it is stopped before the dial, or the dial never began.
        lies: whether it says `cancel` of a dial that may have placed its call.
        says: what is said after the block, where it is true by then.
        cancelled: when it is cancelled, if it is.
        not_after: when its hours end, in seconds since the world began.
    """

    arrives: float
    lane: str
    way: Way
    timeout: float | None
    thinks: float
    dials: tuple[DialPlan, ...]
    gives_up: bool
    fails: bool
    lingers: float
    named: Naming
    regrets: bool
    tidy: bool
    lies: bool
    says: tuple[Saying, ...]
    cancelled: Cancelling | None
    trunk: str | None = "default"
    not_after: float | None = None


@dataclass(frozen=True, slots=True)
class PausePlan:
    """From `begins` to `ends` a lane and a trunk are paused, by name; None for each."""

    begins: float
    ends: float
    lane: str | None
    trunk: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """From `begins` to `ends`, in seconds since the world began, the counter has the fault `kind`.

    "stale" freezes the count as it was at `begins`.
    """

    begins: float
    ends: float
    kind: str


Listing = Literal["all", "no ringing", "nothing", "refused", "429", "rubbish", "strange", "late"]
"""What a list of calls shows: of those asked for all, all but those that ring, or none; an error;
no list; odd items and other calls besides; or how all of them were `LATE_LIST` ago."""

LATE_LIST: Final = 3.0
"""Seconds for which a late list is on its way."""

ODD_LISTS: Final[tuple[Listing, ...]] = ("nothing", "refused", "429", "rubbish", "strange")


@dataclass(frozen=True, slots=True)
class GatePlan:
    """What `open_gate` is told; seconds."""

    ttl: float
    max_age: float
    min_interval: float
    counter_lag: float
    ring_limit: float
    counts_ringing: bool | None
    asks: bool
    lanes: tuple[LanePlan, ...]
    trunks: tuple[TrunkPlan, ...] = (TrunkPlan("default", None, None),)
    inbound_apart: bool = False
    ends_free: bool = False
    listens: bool = True

    @property
    def counted_after(self) -> float:
        """After a dial has returned, until the counter surely shows its call."""
        return self.counter_lag + (0.0 if self.counts_ringing else self.ring_limit)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole world.

    Attributes:
        lasts: seconds until the faults end.
        counts_ringing: whether the counter counts calls that ring.
        enforces: whether the provider refuses a call for which there is no room.
        refuses_late: whether it does so by a call that ends at once.
        flight: seconds that a request to place a call is under way at most.
        counter_in_time: whether the counter is no later than the gate is told.
        others_keep_to_reserve: whether others add no more than the lanes' reserve between readings.
        rules: by the moment from which they hold.
        closings: when the gate is closed and opened again.
        calls: what becomes of the calls, in the order of their beginning, over and over.
        others: when somebody else calls.
        latencies: seconds there and back, of the readings in their order, over and over.
        sporadic: the same of faults; "" is none.
        odd: the same of statuses that come in the place of a lasting fault; 0 is none.
        retry_after: seconds, for every answer that asks for patience.
        strays: when evidence comes about a call that nobody knows.
        ahead: seconds by which the provider's clock is ahead; None where it doesn't say the time.
        lists: what a list of calls shows, list after list, over and over.
        pauses: what is paused, and when.
        drains: for how many seconds before each of its closings the gate drains.
        inbound_apart: whether the provider counts outbound calls alone against what it keeps for
            inbound ones. Those of somebody else are inbound.
        teaches: whether the gate can learn of ringing, and if so, what is so, or until
            `misleads_until` what isn't. "" is where too little happens to learn anything.
        misleads_until: until when somebody else begins and hangs up as own ringing begins and
            ceases. Before then the provider refuses nothing for want of room.
        refuses_by_count: whether the provider refuses by its counter, which is late.
        stamps_ahead: seconds by which the clock that stamps calls is ahead of the provider's.
    """

    seed: int
    lasts: float
    gate: GatePlan
    counts_ringing: bool
    enforces: bool
    refuses_late: bool
    flight: float
    counter_in_time: bool
    others_keep_to_reserve: bool
    rules: tuple[tuple[float, Rules], ...]
    closings: tuple[tuple[float, float], ...]
    calls: tuple[CallPlan, ...]
    callers: tuple[CallerPlan, ...]
    others: tuple[float, ...]
    windows: tuple[Window, ...]
    latencies: tuple[tuple[float, float], ...]
    sporadic: tuple[str, ...]
    odd: tuple[int, ...]
    retry_after: float
    strays: tuple[float, ...]
    ahead: float | None = None
    lists: tuple[Listing, ...] = ("all",)
    pauses: tuple[PausePlan, ...] = ()
    drains: float | None = None
    inbound_apart: bool = False
    teaches: Literal["", "truly", "wrongly"] = ""
    misleads_until: float = 0.0
    refuses_by_count: bool = False
    stamps_ahead: float = 0.0


class _Dice:
    """A source of draws."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)
        self.one_of = self._random.choice
        self.whole = self._random.randint

    def chance(self, of: float) -> bool:
        return self._random.random() < of

    def seconds(self, least: float, most: float) -> float:
        return self._random.randint(round(least * GRID), round(most * GRID)) / GRID

    def moments(self, until: float, most: int) -> list[float]:
        return sorted(self.seconds(0, until) for _ in range(self.whole(0, most)))


def draw(seed: int, *, may_be_long: bool = True) -> Plan:
    """The world of a seed.

    Args:
        may_be_long: whether it may be one in which there is time to learn.
    """
    dice = _Dice(seed)
    counted = dice.chance(0.5)
    gate = _gate(dice, counted)
    lasts = dice.whole(15, 60) * gate.ttl + 10.0
    flight = min(dice.one_of((0.0, 0.0, 0.125, 0.25)), gate.counter_lag)
    in_time = dice.chance(0.85)
    stale = dice.one_of((0.0, 0.0, (gate.counter_lag - flight) / 2))
    lies = dice.chance(0.15)
    plan = Plan(
        seed=seed,
        lasts=lasts,
        gate=gate,
        counts_ringing=counted,
        enforces=dice.chance(0.3),
        refuses_late=dice.chance(0.3),
        flight=flight,
        counter_in_time=in_time,
        others_keep_to_reserve=dice.chance(0.6),
        rules=_rules(dice, lasts),
        closings=_closings(dice, lasts, gate),
        calls=_calls(dice, gate, gate.counter_lag - flight - stale, in_time, lasts),
        callers=(
            *_callers(dice, gate, flight, lasts, lies),
            *_confessors(seed, gate, flight, lasts),
        ),
        others=tuple(dice.moments(lasts, dice.one_of((0, 0, 8, 20)))),
        windows=_windows(dice, stale if in_time else lasts / 3, lasts),
        latencies=_latencies(dice, gate.max_age / 2),
        sporadic=_sporadic(dice),
        odd=_odd(_Dice(f"odd answers of {seed}")),
        retry_after=dice.one_of((1.0, 3.0, 20.0)),
        strays=tuple(dice.moments(lasts, 6)),
        ahead=_Dice(f"the provider's clock of {seed}").one_of((0.0, 1000.0, 1.75e9, 1.75e9, None)),
    )
    if may_be_long:
        plan = _with_lessons(plan, _Dice(f"long worlds: {seed}"))
    plan = _with_trunks(plan, _Dice(f"trunks of {seed}"))
    plan = _with_hours(plan, _Dice(f"hours of {seed}"))
    plan = _with_stops(plan, _Dice(f"stops of {seed}"))
    plan = _with_calls_on_trunks(plan, _Dice(f"calls on trunks of {seed}"))
    plan = _with_questions(plan, _Dice(f"questions of {seed}"))
    plan = _with_late_lists(plan, _Dice(f"late lists of {seed}"))
    plan = _with_inbound_apart(plan, _Dice(f"inbound apart of {seed}"))
    plan = _with_ends_free(plan, _Dice(f"ends of {seed}"))
    plan = _unheard(plan, _Dice(f"what is heard of {seed}"))
    return _misled(plan, _Dice(f"whether {seed} misleads"))


def _with_lessons(plan: Plan, dice: _Dice) -> Plan:
    """In one of 40 worlds there is time and evidence enough to learn whether ringing is counted.

    Calls are many and short, and evidence of them comes within `PATIENCE` or never. Others call so
    seldom that few of their calls begin or end as own ringing does.
    """
    if not dice.chance(0.025):
        return plan
    lasts = dice.seconds(500, 800)
    gate = replace(
        plan.gate,
        ttl=1.0,
        max_age=15.0,
        counter_lag=dice.one_of((0.5, 2.0)),
        ring_limit=dice.one_of((10.0, 20.0)),
        lanes=tuple(replace(lane, max_wait=None, max_waiting=None) for lane in plan.gate.lanes),
        counts_ringing=None,
    )
    reserve = max(lane.reserve for lane in gate.lanes)
    room = dice.one_of((2, 3, 4))
    callers = min(80, round(lasts * room / (15 + gate.ring_limit)))
    return replace(
        plan,
        lasts=lasts,
        gate=gate,
        counter_in_time=True,
        teaches="truly",
        rules=((0.0, Rules(room + reserve, 0, dice.chance(0.3), room + reserve + 1)),),
        closings=(),
        calls=_short_calls(dice, gate, gate.counter_lag - plan.flight),
        callers=tuple(_plain_caller(dice, gate, plan.flight, lasts) for _ in range(callers)),
        others=tuple(dice.moments(lasts, dice.one_of((0, 10, 40)))),
        windows=_windows(dice, 0.0, lasts / 4),
        latencies=_latencies(dice, dice.one_of((0.125, 0.125, 1.0))),
        sporadic=_sporadic(dice) if dice.chance(0.3) else ("",),
        strays=tuple(dice.moments(lasts, 6)),
    )


def _short_calls(dice: _Dice, gate: GatePlan, slack: float) -> tuple[CallPlan, ...]:
    answered = dice.one_of((0.4, 0.7, 1.0))
    heard = dice.one_of((0.8, 1.0, 1.0))
    late = dice.one_of((0.5, 0.5, 4.0))
    return tuple(
        CallPlan(
            rings=dice.seconds(gate.ring_limit / 2, gate.ring_limit),
            answered=dice.chance(answered),
            talks=dice.seconds(5, 30),
            rise=dice.seconds(0, slack),
            fall=dice.seconds(0, gate.counter_lag),
            started=(dice.seconds(0, late),) if dice.chance(heard) else (),
            ended=(dice.seconds(0, late),) if dice.chance(heard) else (),
        )
        for _ in range(dice.whole(10, 30))
    )


def _plain_caller(dice: _Dice, gate: GatePlan, flight: float, lasts: float) -> CallerPlan:
    """A caller of whose call the gate mostly knows the id as soon as the dial returns."""
    arrives = dice.seconds(0, lasts * 0.95)
    if dice.chance(0.2):
        return _caller(dice, gate, flight, arrives, troubled=0.1, lies=False)
    caller = _caller(dice, gate, flight, arrives, troubled=0.0, lies=False)
    return replace(
        caller,
        way="admit",
        lane=dice.one_of(gate.lanes).name,
        thinks=0.0,
        dials=(DialPlan("ok", dice.seconds(0, flight), 0.0),),
        gives_up=False,
        lingers=0.0,
        named="in block",
    )


def _misled(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where the gate is misled for a while; in most of those with lessons that
    don't count ringing.

    Somebody else begins and hangs up as own ringing does, and all else is known. Then that ends,
    and a crowd comes, so that the belief is put to the test.
    """
    if not plan.teaches or plan.counts_ringing or dice.chance(0.3):
        return plan
    until = plan.lasts * 0.75
    callers = tuple(
        replace(caller, arrives=until + dice.seconds(10, 40), not_after=None)
        if caller.arrives > until
        else caller
        for caller in (*plan.callers, *plan.callers)
    )
    return replace(
        plan,
        gate=replace(plan.gate, listens=True, inbound_apart=False, ends_free=False),
        inbound_apart=False,
        refuses_by_count=False,
        callers=callers,
        calls=tuple(replace(each, started=(0.25,), ended=(0.25,)) for each in plan.calls),
        rules=tuple((at, replace(each, limit=each.limit + 1)) for at, each in plan.rules),
        others=(),
        windows=(),
        pauses=(),
        sporadic=("",),
        enforces=dice.chance(0.7),
        teaches="wrongly",
        misleads_until=until,
    )


def _with_questions(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where most gates ask about their calls, of which lists show this or that."""
    asks = plan.gate.asks or dice.chance(0.6)
    usual: Listing = dice.one_of(("all", "no ringing", "no ringing", "refused"))
    odd = ODD_LISTS if dice.chance(0.5) else ()
    lists = (usual, usual, usual, *(dice.one_of((usual, *odd)) for _ in range(5)))
    return replace(plan, gate=replace(plan.gate, asks=asks), lists=lists)


def _with_late_lists(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where some lists are late; in one of seven."""
    if dice.chance(0.85):
        return plan
    return replace(plan, lists=tuple("late" if dice.chance(0.3) else each for each in plan.lists))


def _with_inbound_apart(plan: Plan, dice: _Dice) -> Plan:
    """In a quarter of the worlds the gate counts inbound calls apart, and mostly it is so.

    There is something reserved, and others call often enough to use it. The gate isn't closed and
    opened again, since the calls from before would be outbound ones that it doesn't know.
    """
    if not dice.chance(0.25):
        return plan
    rules = tuple(
        (at, replace(each, reserved_inbound=min(each.limit, dice.one_of((1, 2, 3, 5)))))
        for at, each in plan.rules
    )
    return replace(
        plan,
        gate=replace(plan.gate, inbound_apart=True),
        inbound_apart=dice.chance(0.8),
        enforces=plan.enforces or dice.chance(0.5),
        rules=rules,
        closings=(),
        others=tuple(sorted((*plan.others, *dice.moments(plan.lasts, 12)))),
    )


def _with_ends_free(plan: Plan, dice: _Dice) -> Plan:
    """In a third of the worlds whose counter is in time, ended calls make room at once.

    Most of these providers refuse by the calls that really go on, and the others by their counter.
    They say the time, or nothing would be different.
    """
    if not plan.counter_in_time or not dice.chance(0.35):
        return plan
    by_count = dice.chance(0.2)
    return replace(
        plan,
        gate=replace(plan.gate, ends_free=True),
        ahead=dice.one_of((0.0, 1000.0, 1.75e9)),
        stamps_ahead=dice.one_of((0.0, -0.5, 0.25, 0.5)),
        enforces=plan.enforces or by_count or dice.chance(0.3),
        refuses_by_count=by_count,
    )


def _unheard(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where nobody listens; in a tenth of those that believe nothing.

    Nobody would hear in the others when the gate gives that up.
    """
    if plan.gate.inbound_apart or plan.gate.ends_free or not dice.chance(0.1):
        return plan
    return replace(plan, gate=replace(plan.gate, listens=False))


def _with_hours(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where some callers may not dial after a moment; in a third of the worlds."""
    if dice.chance(0.7):
        return plan
    callers = tuple(
        replace(caller, not_after=caller.arrives + dice.seconds(0, dice.one_of((1, 10, 40))))
        if caller.way in {"admit", "place", "place again"} and dice.chance(0.5)
        else caller
        for caller in plan.callers
    )
    return replace(plan, callers=callers)


def _with_stops(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where something is paused now and then, and gates drain before they close."""
    if dice.chance(0.6):
        return plan
    pauses = tuple(_pause(dice, plan) for _ in range(dice.whole(1, 5)))
    drains = dice.seconds(0, dice.one_of((1, 10, 40))) if dice.chance(0.7) else None
    return replace(plan, pauses=pauses, drains=drains)


def _pause(dice: _Dice, plan: Plan) -> PausePlan:
    begins = dice.seconds(0, plan.lasts)
    ends = min(plan.lasts, begins + dice.seconds(0, dice.one_of((0, 1, 10, 60))))
    lanes = [lane.name for lane in plan.gate.lanes]
    trunks = [trunk.name for trunk in plan.gate.trunks]
    return PausePlan(begins, ends, dice.one_of((None, *lanes)), dice.one_of((None, *trunks)))


def _with_trunks(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where calls take trunks that have rates; in half of the worlds none has."""
    if dice.chance(0.5):
        return plan
    names = ("default", "a", "b")[: dice.one_of((1, 2, 2, 3))]
    trunks = tuple(_trunk(dice, name) for name in names)
    ways = (*names, *names, None)
    callers = tuple(
        caller if caller.way == "short" else replace(caller, trunk=dice.one_of(ways))
        for caller in plan.callers
    )
    return replace(plan, gate=replace(plan.gate, trunks=trunks), callers=callers)


def _with_calls_on_trunks(plan: Plan, dice: _Dice) -> Plan:
    """The same world, where trunks take so many calls at once, which don't last for long."""
    default, *others = plan.gate.trunks
    if not others or dice.chance(0.4):
        return plan
    talks = dice.one_of((5.0, 20.0, plan.lasts / 2))
    late = plan.flight + (0.0 if plan.counter_in_time else LONGER_RINGING)
    trunks = (default, *(_taking(dice, trunk, talks + late) for trunk in others))
    calls = tuple(replace(call, talks=min(call.talks, talks)) for call in plan.calls)
    return replace(plan, gate=replace(plan.gate, trunks=trunks), calls=calls)


def _taking(dice: _Dice, trunk: TrunkPlan, longest_call: float) -> TrunkPlan:
    if dice.chance(0.5):
        trunk = TrunkPlan(trunk.name, None, None)
    calls = dice.one_of((None, 1, 2, 3))
    return replace(trunk, calls=calls, longest_call=longest_call)


def _trunk(dice: _Dice, name: str) -> TrunkPlan:
    """Some rates have starts so far apart that they meet the grid."""
    if dice.chance(0.2) and name != "default":
        return TrunkPlan(name, dice.one_of((1.0, 2.0)), dice.one_of((1.0, 2.0, 5.0)))
    return TrunkPlan(name, dice.one_of((None, 1.0, 1.05, 1.05, 0.525, 0.3, 4.2)), None)


def calm_rules(plan: Plan, waiting: int) -> Rules:
    """Rules under which half of those that wait fit at once on every lane, without burst."""
    reserve = max(lane.reserve for lane in plan.gate.lanes)
    return Rules(reserve + max(2, waiting // 2), 0, False, 0)


def _gate(dice: _Dice, counted: bool) -> GatePlan:
    ttl = dice.one_of((0.5, 1.0, 1.0, 1.0, 5.0, 30.0))
    return GatePlan(
        ttl=ttl,
        max_age=ttl * dice.one_of((1, 2, 5, 15)),
        min_interval=dice.one_of((0.0625, 0.25, 0.25, 0.5)),
        counter_lag=dice.one_of((0.5, 2.0, 2.0, 5.0)),
        ring_limit=dice.one_of((5.0, 10.0, 30.0) if ttl < 5 else (5.0, 30.0, 120.0)),
        counts_ringing=dice.one_of((True, True, None)) if counted else dice.one_of((False, None)),
        asks=dice.chance(0.25),
        lanes=_lanes(dice),
    )


def _lanes(dice: _Dice) -> tuple[LanePlan, ...]:
    names = ("default", "urgent", "slow")[: dice.one_of((1, 1, 2, 3))]
    reserve = dice.one_of((0, 0, 1, 2))
    return tuple(_lane(dice, name, reserve) for name in names)


def _lane(dice: _Dice, name: str, reserve: int) -> LanePlan:
    return LanePlan(
        name=name,
        priority=dice.one_of((-1, 0, 0, 1)),
        reserve=reserve + dice.one_of((0, 0, 1)),
        burst=dice.one_of((0, 0, 0, 1, 3, "all")),
        max_wait=dice.seconds(0, 40) if dice.chance(0.2) else None,
        max_waiting=dice.whole(0, 6) if dice.chance(0.2) else None,
    )


def _rules(dice: _Dice, lasts: float) -> tuple[tuple[float, Rules], ...]:
    changes = dice.moments(lasts, 4) if dice.chance(0.4) else []
    return tuple((at, _drawn_rules(dice)) for at in (0.0, *changes))


def _drawn_rules(dice: _Dice) -> Rules:
    limit = dice.one_of((0, 1, 2, 2, 3, 4, 5, 8, 15))
    bursts = dice.chance(0.5)
    return Rules(
        limit=limit,
        reserved_inbound=dice.one_of((0, 0, 0, 1, min(3, limit))),
        burst_enabled=bursts,
        burst_limit=dice.one_of((0, limit + 1, limit + 3, max(0, limit - 1), 3 * limit)),
    )


def _closings(dice: _Dice, lasts: float, gate: GatePlan) -> tuple[tuple[float, float], ...]:
    if not dice.chance(0.2):
        return ()
    at = dice.seconds(lasts / 4, lasts / 2)
    patient = gate.counted_after + 1.0
    return ((at, at + dice.one_of((0.0, 1.0, patient))),)


def _calls(
    dice: _Dice, gate: GatePlan, slack: float, in_time: bool, lasts: float
) -> tuple[CallPlan, ...]:
    lateness = [0.0, slack / 2, slack, slack] + ([] if in_time else [slack + 10.0])
    heard = dice.one_of((0.0, 0.5, 0.9, 1.0))
    lengths = (2.0, 20.0, 60.0, lasts / 2, 7200.0)
    made = []
    for _ in range(dice.whole(10, 30)):
        rings = dice.seconds(0, gate.ring_limit) if dice.chance(0.8) else gate.ring_limit
        if not in_time and dice.chance(0.1):
            rings += LONGER_RINGING
        talks = dice.seconds(0, dice.one_of(lengths))
        rise, fall = dice.one_of(lateness), dice.seconds(0, gate.counter_lag)
        news = _news(dice, heard), _news(dice, heard)
        made.append(CallPlan(rings, dice.chance(0.7), talks, rise, fall, *news))
    return tuple(made)


def _news(dice: _Dice, heard: float) -> tuple[float, ...]:
    if not dice.chance(heard):
        return ()
    late = (0.0, 0.5, 0.5, 5.0, 40.0)
    return tuple(dice.seconds(0, dice.one_of(late)) for _ in range(dice.one_of((1, 1, 1, 2, 3))))


def _callers(
    dice: _Dice, gate: GatePlan, flight: float, lasts: float, lies: bool
) -> tuple[CallerPlan, ...]:
    crowds = [dice.seconds(0, lasts * 0.9) for _ in range(dice.whole(1, 5))]
    troubled = dice.one_of((0.0, 0.2, 0.5))
    return tuple(
        _caller(dice, gate, flight, dice.one_of(crowds), troubled, lies)
        for _ in range(dice.whole(5, 40))
    )


def _caller(
    dice: _Dice, gate: GatePlan, flight: float, crowd: float, troubled: float, lies: bool
) -> CallerPlan:
    way: Way = dice.one_of(("admit", "admit", "admit", "short", "try", "place", "place again"))
    trouble = dice.chance(troubled)
    return CallerPlan(
        arrives=crowd + dice.one_of((0.0, 0.0, dice.seconds(0, 2), dice.seconds(0, 20))),
        lane="default" if way == "short" else dice.one_of(gate.lanes).name,
        way=way,
        timeout=dice.seconds(0, 30) if dice.chance(0.15) else None,
        thinks=dice.one_of((0.0, 0.0, dice.seconds(0, 3))),
        dials=_dials(dice, flight, trouble),
        gives_up=dice.chance(0.1),
        fails=trouble and dice.chance(0.2),
        lingers=dice.one_of((0.0, 0.0, dice.seconds(0, 10))),
        named=dice.one_of(("in block", "in block", "after", "never")),
        regrets=dice.chance(0.2),
        tidy=dice.chance(0.7),
        lies=lies and dice.chance(0.6),
        says=_says(dice),
        cancelled=_cancelling(dice) if trouble and dice.chance(0.5) else None,
    )


def _confessors(seed: int, gate: GatePlan, flight: float, lasts: float) -> tuple[CallerPlan, ...]:
    """Callers that say of a dial that it wasn't, and take that back."""
    dice = _Dice(f"confessors of {seed}")
    if dice.chance(0.8):
        return ()
    return tuple(_confessor(dice, gate, flight, lasts) for _ in range(dice.whole(1, 5)))


def _confessor(dice: _Dice, gate: GatePlan, flight: float, lasts: float) -> CallerPlan:
    kind: DialKind = dice.one_of(("reply lost", "500 after", "reset after"))
    honest = _caller(dice, gate, flight, dice.seconds(0, lasts * 0.9), troubled=0.0, lies=False)
    return replace(
        honest,
        way="admit",
        lane=dice.one_of(gate.lanes).name,
        dials=(DialPlan(kind, dice.seconds(0, flight), 0.0),),
        gives_up=False,
        lies=True,
        says=(Saying(dice.one_of(("placed", "started")), dice.seconds(0, 20)),),
    )


def _dials(dice: _Dice, flight: float, trouble: bool) -> tuple[DialPlan, ...]:
    kinds: list[DialKind] = ["ok"]
    if trouble:
        troubles: tuple[DialKind, ...] = (
            "ok",
            "rate",
            "reply lost",
            "500 after",
            "500 before",
            "no connection",
            "reset after",
        )
        kinds = [dice.one_of(troubles) for _ in range(dice.whole(1, 3))] + kinds
    return tuple(
        DialPlan(kind, dice.seconds(0, flight), dice.one_of((0.0, 0.0, dice.seconds(0, 2))))
        for kind in kinds
    )


def _says(dice: _Dice) -> tuple[Saying, ...]:
    if not dice.chance(0.4):
        return ()
    whats: tuple[Literal["placed", "started", "ended"], ...] = ("placed", "started", "ended")
    return tuple(
        Saying(dice.one_of(whats), dice.seconds(0, dice.one_of((1, 10, 60))))
        for _ in range(dice.whole(1, 5))
    )


def _cancelling(dice: _Dice) -> Cancelling:
    match dice.one_of(("seconds", "turns", "grant", "grant")):
        case "seconds":
            return Cancelling("seconds", dice.seconds(0, dice.one_of((1, 5, 40))))
        case "turns":
            return Cancelling("turns", dice.whole(0, 12))
        case _:
            return Cancelling("grant", 0)


def _windows(dice: _Dice, stale: float, lasts: float) -> tuple[Window, ...]:
    made = []
    for _ in range(dice.one_of((0, 0, 1, 2, 3))):
        begins = dice.seconds(0, lasts)
        kind = dice.one_of((*TRANSIENT, *TRANSIENT, *LASTING, "401", "stale", "stale"))
        longest = {"401": 1.0, "stale": stale}.get(kind, dice.one_of((1.0, 5.0, 20.0, lasts / 3)))
        made.append(Window(begins, begins + dice.seconds(0, longest), kind))
    return tuple(made)


def _latencies(dice: _Dice, most: float) -> tuple[tuple[float, float], ...]:
    """No answer takes longer than a snapshot may be trusted, or it would authorise nothing ever."""
    longest = min(dice.one_of((0.0, 0.0, 0.125, 1.0, 2.0)), most)
    return tuple((dice.seconds(0, longest), dice.seconds(0, longest)) for _ in range(16))


def _sporadic(dice: _Dice) -> tuple[str, ...]:
    rate = dice.one_of((0.0, 0.0, 0.1, 0.3))
    return tuple(
        dice.one_of((*TRANSIENT, *LASTING)) if dice.chance(rate) else "" for _ in range(32)
    )


def _odd(dice: _Dice) -> tuple[int, ...]:
    rate = dice.one_of((0.0, 0.3, 1.0))
    return tuple(dice.one_of(ODD_STATUSES) if dice.chance(rate) else 0 for _ in range(16))


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to a worker: it "dies", "pauses", or is "cut" off, `at` so many seconds."""

    kind: Literal["dies", "pauses", "cut"]
    at: float
    lasts: float


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """One process of many.

    Attributes:
        opens: seconds since the world began.
        exchanges: seconds there and back, and what goes wrong, of the exchanges in their order,
            over and over; "" is nothing.
        bells: seconds until the server's messages come, over and over; None is never.
        careful: whether it looks if a permit was lost before it dials.
        drains: when it begins to drain, to end when it has; None for never.
        goes_by_the_count: whether ended calls make no room at once there, whatever the others do.
        counts_together: whether its gate takes inbound calls for outbound ones, whatever the others
            do.
    """

    opens: float
    troubles: tuple[Trouble, ...]
    exchanges: tuple[tuple[float, float, str], ...]
    bells: tuple[float | None, ...]
    careful: bool
    drains: float | None = None
    counts_together: bool = False
    goes_by_the_count: bool = False


@dataclass(frozen=True, slots=True)
class Eviction:
    """The ledger's server throws keys away, `at` so many seconds; `keys` are their indexes."""

    at: float
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Restoration:
    """The server goes away at `at`, and comes back after `lasts` as it was at `dumped_at`."""

    dumped_at: float
    at: float
    lasts: float


@dataclass(frozen=True, slots=True)
class Step:
    """The server's clock steps by so many ms."""

    at: float
    by: int


@dataclass(frozen=True, slots=True)
class Failing:
    """For `lasts`, a command of each script fails: the one named, or "write 3", the third."""

    at: float
    lasts: float
    what: str


@dataclass(frozen=True, slots=True)
class Mishaps:
    """What befalls the ledger's server; nothing by default."""

    evictions: tuple[Eviction, ...] = ()
    restorations: tuple[Restoration, ...] = ()
    steps: tuple[Step, ...] = ()
    failings: tuple[Failing, ...] = ()

    @property
    def losses(self) -> int:
        """How often the ledger may be lost, and nobody be admitted for a while."""
        return len(self.evictions) + len(self.restorations) + len(self.failings)


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """A world of several workers; `lease` is in seconds, `at_once` in permits."""

    world: Plan
    workers: tuple[WorkerPlan, ...]
    lease: float
    at_once: int
    mishaps: Mishaps

    @property
    def closed_for(self) -> float:
        """Seconds for which nobody is admitted after a loss was noticed."""
        return self.lease + self.world.gate.counted_after

    @property
    def trunks_closed_for(self) -> float:
        """The same, on the trunk that is closed for longest."""
        gate = self.world.gate
        lasts = (gate.ring_limit + each.longest_call for each in gate.trunks if each.calls)
        return max(self.closed_for, *(self.lease + each for each in lasts), 0.0)

    @property
    def untold(self) -> float:
        """Seconds by which the ledger may take its clock's steps for lateness."""
        slowest = max(there for worker in self.workers for there, _, _ in worker.exchanges)
        forward = (step.by / 1000 for step in self.mishaps.steps if step.by > 0)
        return sum(min(UNTOLD_STEP + slowest, by) for by in forward)


def draw_shared(seed: int, *, mishaps: bool = True) -> SharedPlan:
    """The world of several workers of a seed: short, because it has a server, and limits stand.

    Args:
        mishaps: whether anything befalls the ledger's server. All else is the same without, but
            that the world is longer by what the ledger may be closed.
    """
    dice = _Dice(-1 - seed)
    worlds = (draw(seed * 100 + number, may_be_long=False) for number in itertools.count())
    world = next(each for each in worlds if each.gate.ttl <= 1 and each.gate.ring_limit <= 10)
    if not world.gate.ends_free:
        world = _with_ends_free(world, _Dice(f"ends of a shared ledger, {seed}"))
    rules = replace(world.rules[0][1], limit=max(3, world.rules[0][1].limit))
    # A reading, and a place by it, take four exchanges, which take up to a second each.
    # Callers are in the queue meanwhile, also where there is room.
    lanes = tuple(replace(lane, max_waiting=None, max_wait=None) for lane in world.gate.lanes)
    gate = replace(world.gate, max_age=max(world.gate.max_age, 15.0), lanes=lanes, listens=True)
    world = replace(world, latencies=_latencies(dice, gate.max_age / 2))
    world = replace(world, seed=seed, gate=gate, rules=((0.0, rules),), closings=())
    workers = tuple(_worker(dice, world.lasts) for _ in range(dice.whole(2, 4)))
    workers = _one_drains(_Dice(f"drains of {seed}"), workers, world.lasts)
    if gate.inbound_apart:
        workers = _mixed(_Dice(f"mixed gates of {seed}"), workers)
    if gate.ends_free:
        workers = _with_plain_ones(_Dice(f"plain gates of {seed}"), workers)
    at_once = _Dice(f"pieces of {seed}").one_of((1, 2, 5, AT_ONCE))
    lease = dice.one_of((4.0, 10.0))
    plan = SharedPlan(world, workers, lease, at_once, mishaps=Mishaps())
    return _with_mishaps(plan) if mishaps else plan


def _with_mishaps(plan: SharedPlan) -> SharedPlan:
    dice = _Dice(f"mishaps of {plan.world.seed}")
    world, lasts, workers = plan.world, plan.world.lasts, plan.workers

    def moment() -> float:
        """Often one at which callers are about."""
        about = dice.one_of(world.callers).arrives + dice.seconds(0, 3)
        return min(lasts, dice.one_of((about, about, dice.seconds(0, lasts))))

    drawn = Mishaps(
        tuple(_eviction(dice, moment()) for _ in range(dice.one_of((0, 0, 1, 2)))),
        tuple(_restoration(dice, moment(), plan) for _ in range(dice.one_of((0, 0, 0, 1, 2)))),
        tuple(_step(dice, moment()) for _ in range(dice.one_of((0, 0, 1, 2, 4)))),
        tuple(_failing(dice, moment()) for _ in range(dice.one_of((0, 0, 1, 2)))),
    )
    if dice.chance(0.5):
        workers = (*workers[:-1], replace(workers[-1], opens=moment()))
    if any(trunk.calls for trunk in world.gate.trunks):
        # Told by dice of their own, so that the other worlds are what they were.
        more = _Dice(f"trunks that are lost, of {world.seed}")
        at = tuple(more.seconds(0, lasts) for _ in range(more.one_of((0, 0, 0, 1))))
        lost = tuple(Eviction(each, (OCCUPIED,)) for each in at)
        drawn = replace(drawn, evictions=(*drawn.evictions, *lost))
    plan = replace(plan, workers=workers, mishaps=drawn)
    untold = plan.untold
    gate = replace(
        world.gate,
        counter_lag=world.gate.counter_lag + untold,
        trunks=tuple(
            replace(each, longest_call=each.longest_call + untold) for each in world.gate.trunks
        ),
    )
    plan = replace(plan, world=replace(world, gate=gate))
    closed = drawn.losses * plan.closed_for
    return replace(plan, world=replace(plan.world, lasts=lasts + closed))


def _eviction(dice: _Dice, at: float) -> Eviction:
    some = tuple(key for key in range(KEYS) if dice.chance(0.5))
    one = (dice.whole(0, KEYS - 1),)
    return Eviction(at, dice.one_of((one, one, some or one, tuple(range(KEYS)))))


def _restoration(dice: _Dice, at: float, plan: SharedPlan) -> Restoration:
    age = dice.seconds(0, dice.one_of((1, 5, 20, plan.world.lasts)))
    lasts = dice.one_of((0.0, 1.0, 0.5, 1.5, 3.0)) * plan.lease
    return Restoration(max(0.0, at - age), at, lasts)


def _step(dice: _Dice, at: float) -> Step:
    by = dice.one_of((50, 240, 300, 700, 1_500, 5_000, 60_000, 3_600_000, 10_800_000))
    return Step(at, by * dice.one_of((-1, 1)))


def _failing(dice: _Dice, at: float) -> Failing:
    what = dice.one_of(("PUBLISH", "PUBLISH", "write 1", f"write {dice.whole(2, 12)}", *WRITES))
    return Failing(at, dice.one_of((0.5, 3.0, 12.0)), what)


def _worker(dice: _Dice, lasts: float) -> WorkerPlan:
    faults = dice.one_of((0.0, 0.0, 0.1, 0.3))
    slow = dice.one_of((0.0, 0.0625, 0.5))
    return WorkerPlan(
        opens=dice.one_of((0.0, 0.0, dice.seconds(0, 5))),
        troubles=tuple(_trouble(dice, lasts) for _ in range(dice.one_of((0, 0, 1, 2)))),
        exchanges=tuple(
            (
                dice.seconds(0, slow),
                dice.seconds(0, slow),
                dice.one_of(("request lost", "reply lost")) if dice.chance(faults) else "",
            )
            for _ in range(64)
        ),
        bells=tuple(None if dice.chance(faults) else dice.seconds(0, slow) for _ in range(32)),
        careful=dice.chance(0.8),
    )


def _one_drains(
    dice: _Dice, workers: tuple[WorkerPlan, ...], lasts: float
) -> tuple[WorkerPlan, ...]:
    """The same workers, of which in half of the worlds the first drains and ends."""
    at = dice.seconds(0, lasts)
    return (replace(workers[0], drains=at if dice.chance(0.5) else None), *workers[1:])


def _mixed(dice: _Dice, workers: tuple[WorkerPlan, ...]) -> tuple[WorkerPlan, ...]:
    """The same workers, of which in half of the worlds some count all calls together."""
    if dice.chance(0.5):
        return workers
    return tuple(replace(each, counts_together=dice.chance(0.4)) for each in workers)


def _with_plain_ones(dice: _Dice, workers: tuple[WorkerPlan, ...]) -> tuple[WorkerPlan, ...]:
    """In a third of the worlds in which ended calls make room at once, not at every gate."""
    if not dice.chance(0.35):
        return workers
    return tuple(replace(each, goes_by_the_count=dice.chance(0.4)) for each in workers)


def _trouble(dice: _Dice, lasts: float) -> Trouble:
    kind: Literal["dies", "pauses", "cut"] = dice.one_of(("dies", "pauses", "cut", "cut"))
    return Trouble(kind, dice.seconds(0, lasts * 0.8), dice.one_of((1.0, 3.0, 12.0, 30.0)))
