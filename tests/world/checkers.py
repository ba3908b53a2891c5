"""Independent checkers: what must hold in every world, worked out without the library's code.

They see the provider's truth, what callers do, and what anybody may see of a gate: its events, its
statistics, and `explain`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import inf

import callguard
from tests.world.pauses import Scope, covers
from tests.world.plan import LanePlan, Plan, Rules
from tests.world.provider import Call, Provider, Reading

__all__ = [
    "Count",
    "Dials",
    "Order",
    "Pauses",
    "Rates",
    "Readings",
    "Scene",
    "Usage",
    "Violation",
    "ceiling",
]

SLACK = 1e-6
"""Seconds by which sums of times may differ."""

IN_HAND = 5.0
"""Seconds for which a reading stays in hand beside later ones, where ends free at once."""

LONGEST_PAUSE = 30.0
"""Seconds for which a trunk may pause after a refusal at most, unless its
starts are further apart."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that did not hold."""

    rule: str
    at: float
    text: str


def cap(rules: Rules, lane: LanePlan) -> int:
    """How far a lane may go before anything is kept free."""
    if not lane.burst or not rules.burst_enabled or rules.burst_limit <= rules.limit:
        return rules.limit
    if lane.burst == "all":
        return rules.burst_limit
    return min(rules.limit + lane.burst, rules.burst_limit)


def ceiling(rules: Rules, lane: LanePlan) -> int:
    """The most calls up to which a lane may go, where all are counted together."""
    return cap(rules, lane) - lane.reserve - rules.reserved_inbound


@dataclass
class Scene:
    """What every checker sees.

    Attributes:
        gate: the gate that is open, or None.
        changed_at: when this gate was told last of evidence that the count has changed.
        refused_at: when it was told surely of a refusal last.
        perhaps_refused_at: the same, where it may not have heard yet.
        lied: the permits that were said not to have been dialled, and may have been.
        denied: those of which that has not been taken back.
        gave_up: whether the gate has said that it believes the provider no more.
        drains: whether the gate admits nobody any more, by its own word.
        is_misled: whether the gate takes ringing calls for counted that are not.
    """

    plan: Plan
    provider: Provider
    now: Callable[[], float]
    gate: callguard.Gate | None = None
    changed_at: float = -inf
    refused_at: float = -inf
    perhaps_refused_at: float = -inf
    violations: list[Violation] = field(default_factory=list)
    lied: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    drains: bool = False
    gave_up: bool = False
    is_misled: bool = False

    def __post_init__(self) -> None:
        self.lanes = {lane.name: lane for lane in self.plan.gate.lanes}
        trunks = (trunk for trunk in self.plan.gate.trunks if trunk.cps or trunk.calls)
        self.limited = {trunk.name: trunk for trunk in trunks}

    def blame(self, rule: str, text: str) -> None:
        self.violations.append(Violation(rule, self.now(), text))

    def opened(self, gate: callguard.Gate) -> None:
        """A gate is open, which has heard nothing of what the one before was told."""
        self.gate, self.drains = gate, False
        self.gave_up = False
        self.changed_at = self.refused_at = self.perhaps_refused_at = -inf

    @property
    def apart(self) -> bool:
        """Whether the gate may count inbound calls apart: until it is told of a refusal."""
        return self.plan.gate.inbound_apart and self.refused_at == -inf and not self.gave_up

    @property
    def ends_free(self) -> bool:
        """Whether ended calls may make room at once: until the gate is told of a refusal."""
        return self.plan.gate.ends_free and self.refused_at == -inf and not self.gave_up

    def in_hand(self, reading: Reading) -> list[Reading]:
        """The readings by which a gate goes that has this one as its latest."""
        if not self.ends_free:
            return [reading]
        since, until = reading.over_at - IN_HAND - SLACK, reading.over_at
        near = self.provider.readings[max(0, reading.serial - 100) : reading.serial + 3]
        good = (each for each in near if each.outcome == "ok")
        return [each for each in good if since <= each.over_at <= until]

    def gave(self, permit_id: str) -> bool:
        """Whether the gate that is open gave this permit, and hears what is said of it."""
        return self.gate is not None and permit_id.startswith(self.gate.id)

    def is_full(self, trunk: str) -> bool:
        """Whether the gate has as many calls on a trunk as that takes."""
        assert self.gate is not None
        on_trunk = self.gate.statistics().on_trunk.get(trunk)
        return on_trunk is not None and on_trunk.full

    def reading(self) -> Reading | None:
        """The reading that the gate has in hand."""
        assert self.gate is not None
        if self.drains:  # it explains nothing any more
            return self._of_age(self.gate.statistics().snapshot_age)
        limits = self.gate.explain().limits
        serial = None if limits is None else limits.remaining_purchase_limit
        return None if serial is None else self.provider.readings[serial]

    def _of_age(self, age: float | None) -> Reading | None:
        """The reading that began so many seconds ago."""
        if age is None:
            return None
        began = self.now() - age
        good = (each for each in reversed(self.provider.readings) if each.outcome == "ok")
        return next((each for each in good if abs(each.began - began) < SLACK), None)

    def is_own(self, call: Call) -> bool:
        """Whether the gate that is open has let this call in."""
        return self.gave(call.key)

    def missed(self, call: Call, reading: Reading, *, misled: bool) -> bool:
        """Whether a reading has left out a call that the gate takes for counted.

        A late counter does that, and one that doesn't count ringing, where the gate is `misled`.
        """
        if not (misled or not self.plan.counter_in_time) or call.number in reading.counted:
            return False
        return call.placed_at - self.plan.flight < reading.began - self.plan.gate.counter_lag


class Usage:
    """The usage is never below the truth, as far as anybody can know it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def check(self) -> None:
        scene = self._scene
        if scene.gate is None:
            return
        usage, reading = scene.gate.statistics().usage, scene.reading()
        least = sum(self._is_known(call, reading) for call in scene.provider.going_on.values())
        total = usage.dialling + usage.uncounted + (usage.reported or 0) - usage.ended
        if total < least:
            scene.blame("usage", f"{least} calls go on, and the usage is {usage}")
        if min(usage.dialling, usage.uncounted, usage.ended) < 0:
            scene.blame("usage", f"less than nothing: {usage}")

    def check_ends(self) -> None:
        """No end makes room at once unless that was asked for, nor after a refusal."""
        scene = self._scene
        if scene.gate is None or scene.ends_free:
            return
        usage = scene.gate.statistics().usage
        if usage.ended:
            scene.blame("given up", f"{usage}")

    def _is_known(self, call: Call, reading: Reading | None) -> bool:
        scene = self._scene
        if not scene.is_own(call):
            return reading is not None and all(
                call.number in each.counted for each in scene.in_hand(reading)
            )
        if call.key in scene.denied:
            return False
        return reading is None or not scene.missed(call, reading, misled=scene.is_misled)


class Count:
    """The count stays at or below the ceiling.

    Let ``a`` be the last admission, on the lane ``l``, by the reading ``R``. Then usage <=
    ceiling(l, R) just after ``a``, and until the next admission nothing is added to what the usage
    stands for but calls of others. So at every instant

        count <= ceiling(l, R) + calls of others that go on and that R does not count

    plus, in a world whose counter is later than the gate is told, or whose callers lie, or where
    the gate was misled, the calls that were missed or denied. Where others keep to the lane's
    reserve and no limit is lowered, the promise itself follows: count <= limit - reserved inbound.

    Where the gate counts inbound calls apart, the ceiling keeps nothing free for these, and the own
    calls alone, of which all are known but for those that were denied, keep to another:

        own calls that go on <= cap(l, R) - reserved inbound

    Where ends free at once, the calls of others count that some reading in hand does not count.

    Where nobody listens, there is only the promise, and only where nobody else calls.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lane: LanePlan | None = None
        self._reading: Reading | None = None
        self._in_hand: list[Reading] = []
        self._gate_id = ""
        self._was_misled = False
        self._most = self._most_own = 0
        plan = scene.plan
        self.premises_held = plan.counter_in_time and plan.inbound_apart >= plan.gate.inbound_apart
        self.premises_held &= not plan.refuses_by_count
        if not plan.gate.listens and (plan.others or plan.closings):
            self.premises_end()

    def admitted(self, lane: LanePlan, usage: int, reading: Reading | None) -> None:
        scene = self._scene
        if reading is None or reading.rules is None:
            scene.blame("unknown", "a call was admitted without a snapshot")
            return
        assert scene.gate is not None
        self._lane, self._reading, self._gate_id = lane, reading, scene.gate.id
        self._was_misled = scene.is_misled
        self.premises_held &= not scene.is_misled
        self._in_hand = scene.in_hand(reading)
        most = ceiling(reading.rules, lane)
        self._most_own = most
        if scene.apart:
            most = cap(reading.rules, lane) - lane.reserve
            self._most_own = cap(reading.rules, lane) - reading.rules.reserved_inbound
        self._most = most
        if usage > most:
            scene.blame("ceiling", f"usage {usage} above {most} on lane {lane.name}")
        age = scene.now() - reading.began
        if age > scene.plan.gate.max_age + SLACK:
            scene.blame("max_age", f"admit by a reading that is {age} s old")
        if reading.began <= scene.refused_at:
            scene.blame("spent", "admit by a reading from before the last refusal")
        self.check()

    def check(self) -> None:
        scene, lane, reading = self._scene, self._lane, self._reading
        if not scene.plan.gate.listens:
            self._check_promise(not scene.lied)
        if lane is None or reading is None or reading.rules is None:
            return
        going_on = scene.provider.going_on.values()
        unknown = sum(map(self._is_unknown, going_on))
        own_unknown = sum(self._is_broken(call, reading) for call in going_on)
        count, most = len(going_on), self._most
        if count > most + unknown + own_unknown:
            scene.blame(
                "count", f"{count} calls: ceiling {most}, others {unknown}, broken {own_unknown}"
            )
        self._check_own(going_on, own_unknown)
        self._check_promise(unknown + own_unknown <= lane.reserve and not scene.lied)

    def _check_own(self, going_on: Collection[Call], broken: int) -> None:
        own = sum(call.key.startswith(self._gate_id) for call in going_on)
        in_time = self._scene.plan.counter_in_time
        if self._scene.apart and in_time and own > self._most_own + broken:
            self._scene.blame("outbound", f"{own} own calls: at most {self._most_own}")

    def room_for_others(self) -> bool:
        """Whether one more call of somebody else stays within the reserve of every lane."""
        least = min(lane.reserve for lane in self._scene.plan.gate.lanes)
        if self._reading is None:
            return False
        going_on = self._scene.provider.going_on.values()
        return sum(map(self._is_unknown, going_on)) < least

    def premises_end(self) -> None:
        """Limits were lowered, say."""
        self.premises_held = False

    def _check_promise(self, premises_hold: bool) -> None:
        scene, rules = self._scene, self._scene.provider.rules
        self.premises_held = self.premises_held and premises_hold
        highest = max(cap(rules, lane) for lane in scene.plan.gate.lanes)
        if not scene.plan.gate.inbound_apart:
            highest -= rules.reserved_inbound
        count = len(scene.provider.going_on)
        if self.premises_held and count > highest:
            scene.blame("promise", f"{count} calls, and the premises held: at most {highest}")

    def _is_unknown(self, call: Call) -> bool:
        own = call.key.startswith(self._gate_id)
        return not own and not all(call.number in each.counted for each in self._in_hand)

    def _is_broken(self, call: Call, reading: Reading) -> bool:
        if not call.key.startswith(self._gate_id):
            return False
        missed = self._scene.missed(call, reading, misled=self._was_misled)
        return call.key in self._scene.lied or missed


class Rates:
    """No trunk starts more than its rate allows: an admission is a start, whatever becomes of it.

    But for one whose caller didn't dial, by its own word or because it was cancelled on its way in.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._undialled: set[str] = set()
        self.opened()

    def opened(self) -> None:
        """A gate is open, which knows nothing of the starts of the one before."""
        self._starts: dict[str, dict[str, float]] = {name: {} for name in self._scene.limited}
        self._given_back: dict[str, float] = dict.fromkeys(self._scene.limited, -inf)
        self._restarted_at: dict[str, float] = dict.fromkeys(self._scene.limited, -inf)
        self._refused_at: dict[str, float] = dict.fromkeys(self._scene.limited, -inf)
        self._trunk_of: dict[str, str] = {}
        self._entered: set[str] = set()

    def admitted(self, permit_id: str, trunk: str | None) -> None:
        if trunk is None:
            return
        rate, now = self._scene.limited[trunk], self._scene.now()
        self._starts[trunk][permit_id] = now
        self._trunk_of[permit_id] = trunk
        if rate.most > 1 and self._within(trunk, now) > rate.most:
            self._scene.blame("rate", f"more than {rate.most} in {rate.span} s on {trunk}")
        if rate.most == 1 and not self._is_apart(trunk, now):
            self._scene.blame("rate", f"not {rate.span} s apart on {trunk}")

    def enters(self, permit_id: str) -> None:
        """The caller has its permit, and may dial."""
        self._entered.add(permit_id)

    def cancels(self, permit_id: str) -> None:
        """The caller is about to say that it didn't dial."""
        self._undialled.add(permit_id)

    def cancelled(self, permit_id: str) -> None:
        """The gate has taken a slot back."""
        trunk = self._trunk_of.get(permit_id)
        if trunk and (permit_id in self._undialled or permit_id not in self._entered):
            self._given_back[trunk] = max(
                self._given_back[trunk], self._starts[trunk].pop(permit_id, -inf)
            )

    def placed(self, permit_id: str) -> None:
        """The call is placed, though the caller may have said that it didn't dial."""
        trunk = self._trunk_of.get(permit_id)
        if trunk and permit_id not in self._starts[trunk]:
            self._starts[trunk][permit_id] = self._restarted_at[trunk] = self._scene.now()

    def refused(self, permit_id: str | None) -> None:
        """The provider has refused a dial, which may push the trunk's next start back."""
        if permit_id in self._trunk_of:
            self._refused_at[self._trunk_of[permit_id]] = self._scene.now()

    def is_surely_due(self, trunk: str | None) -> bool:
        """Whether nothing keeps a call from starting, as far as anybody can know it."""
        if trunk is None:
            return True
        if not self._scene.plan.gate.listens:
            return False  # its starts are not told
        rate, now = self._scene.limited[trunk], self._scene.now() - SLACK
        paused_until = self._refused_at[trunk] + max(LONGEST_PAUSE, rate.span)
        back_until = self._given_back[trunk] + rate.span
        if self._scene.is_full(trunk):
            return False
        return now > max(paused_until, back_until) and self._within(trunk, now) < rate.most

    def _is_apart(self, trunk: str, now: float) -> bool:
        """Whether as many gaps as lie between the latest start and any before took their time.

        Not so where somebody had said that it didn't dial, and did.
        """
        rate = self._scene.limited[trunk]
        starts = [at for at in self._starts[trunk].values() if at >= self._restarted_at[trunk]]
        least = (gaps * rate.span - rate.late_by for gaps in range(1, len(starts)))
        before = reversed(starts[:-1])
        return all(now - at >= each - SLACK for at, each in zip(before, least, strict=True))

    def _within(self, trunk: str, now: float) -> int:
        span = self._scene.limited[trunk].span
        return sum(at + span > now for at in self._starts[trunk].values())


class Pauses:
    """Nobody is admitted where it is paused."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.opened()

    def opened(self) -> None:
        """A gate is open, which knows of no pause."""
        self.held: set[Scope] = set()
        self._held_at: dict[str, frozenset[Scope]] = {}

    def admitted(self, permit_id: str) -> None:
        """Somebody is admitted; who comes by which trunk is known once the caller runs."""
        self._held_at[permit_id] = frozenset(self.held)

    def enters(self, permit_id: str, lane: str, trunk: str | None) -> None:
        if covers(self._held_at.pop(permit_id, frozenset()), lane, trunk):
            self._scene.blame("paused", f"a call on {lane} and {trunk} was admitted all the same")

    def holds(self, lane: str, trunk: str | None) -> bool:
        """Whether a lane and a trunk are paused."""
        return covers(self.held, lane, trunk)


@dataclass(slots=True, eq=False)
class _Place:
    """A place in the queue; one that comes back to its old place counts from the next instant on.

    Attributes:
        trunk: the caller's, where that has a rate; `way` is the caller's, whether or not.
        patience: seconds that its caller may still wait, as of `since`.
        not_after: when it leaves, however long it has waited.
    """

    rank: int
    name: str
    lane: LanePlan
    trunk: str | None
    patience: float
    since: float
    way: str | None
    not_after: float
    stands_after: float = -inf
    stands: bool = True

    @property
    def deadline(self) -> float:
        return min(self.since + self.patience, self.not_after)


@dataclass(slots=True, eq=False)
class _Grant:
    """An admission whose caller has not run yet.

    Attributes:
        expected: the rank of whoever is first in the line of lane and trunk; inf where nobody
            waits.
        able: the priority and rank of the first in each other line that could have gone.
    """

    lane: LanePlan
    trunk: str | None
    at: float
    expected: float
    able: list[tuple[int, int]]


class Order:
    """First come, first served by lane and trunk; higher lanes first; nobody waits who could go.

    An admission is told before its caller runs, so who has got it is known a little later. As many
    admissions as are open in between, so many of the first in the queue are taken for served.
    """

    def __init__(self, scene: Scene, rates: Rates, pauses: Pauses) -> None:
        self._scene = scene
        self._rates = rates
        self._pauses = pauses
        self._trunks: tuple[str | None, ...] = (None, *scene.limited)
        self._places: dict[str, _Place] = {}
        self._open: dict[str, _Grant] = {}
        self._ranks = 0

    @property
    def anyone(self) -> bool:
        """Whether anybody is in the queue."""
        return any(place.stands for place in self._places.values())

    def joins(
        self,
        name: str,
        lane: str,
        trunk: str | None,
        timeout: float | None,
        not_after: float | None,
    ) -> None:
        plan, rated = self._scene.lanes[lane], trunk if trunk in self._scene.limited else None
        self._ranks += 1
        patience = min(inf if timeout is None else timeout, _longest_wait(plan))
        # One that finds the queue full is in it at the next instant, or gone.
        before = sum(place.stands and place.lane is plan for place in self._places.values())
        is_full = plan.max_waiting is not None and before >= plan.max_waiting
        self._places[name] = _Place(
            rank=self._ranks,
            name=name,
            lane=plan,
            trunk=rated,
            patience=patience,
            since=self._scene.now(),
            way=trunk,
            not_after=inf if not_after is None else not_after,
            stands_after=self._scene.now() if is_full else -inf,
        )

    def comes_back(self, name: str) -> None:
        """A caller that was refused goes back to its old place, and waits for what it has left."""
        place, now = self._places[name], self._scene.now()
        place.stands, place.stands_after, place.since = True, now, now

    def gives_up(self, name: str) -> None:
        """A caller is cancelled, wherever it is."""
        if name in self._places:
            self._places[name].stands = False

    def leaves(self, name: str) -> None:
        self._places.pop(name, None)

    def admitted(
        self, permit_id: str, lane: LanePlan, trunk: str | None, usage: int, rules: Rules
    ) -> str | None:
        """Somebody on `lane` and `trunk` is admitted; who, as far as that can be told."""
        now = self._scene.now()
        for done in [key for key, grant in self._open.items() if grant.at < now]:
            del self._open[done]
        expected = self._first(lane, trunk)
        able = []
        for other, way in itertools.product(self._scene.lanes.values(), self._trunks):
            own = other is lane and way == trunk
            if own or (way != trunk and not self._rates.is_surely_due(way)):
                continue
            first = self._first(other, way)
            if first is not None and usage <= ceiling(rules, other):
                able.append((other.priority, first.rank))
        rank = inf if expected is None else expected.rank
        self._open[permit_id] = _Grant(lane, trunk, now, rank, able)
        return None if expected is None else expected.name

    def enters(self, name: str, permit_id: str) -> None:
        grant, place = self._open.pop(permit_id, None), self._places.get(name)
        if grant is not None:
            self._check_grant(grant, name, inf if place is None else place.rank)
        elif self._scene.plan.gate.listens:
            self._scene.blame("order", f"{name} is in, and no admission was told")
            return
        if place is not None:
            if self._scene.now() > place.not_after + SLACK:
                self._scene.blame("too late", f"{name} is in, after {place.not_after}")
            place.stands = False
            place.patience -= self._scene.now() - place.since

    def _check_grant(self, grant: _Grant, name: str, rank: float) -> None:
        """Who has come in was the first of those who could."""
        if rank > grant.expected:
            self._scene.blame("order", f"{name} has overtaken number {grant.expected}")
        ahead = [each for each in grant.able if each < (grant.lane.priority, rank)]
        if ahead:
            self._scene.blame("lanes", f"{name} on {grant.lane.name} went before {ahead}")

    def check(self) -> None:
        """Nobody waits who could go, once all is done that can be done at an instant."""
        scene = self._scene
        self._open.clear()
        if scene.gate is None or not self._places:
            return
        for place in self._places.values():
            if place.stands and place.deadline < scene.now() - SLACK:
                scene.blame("overdue", f"{place.name} waits for longer than it may")
            if place.stands and scene.drains:
                scene.blame("draining", f"{place.name} waits on")
        waiting = {
            place.lane.name
            for place in self._places.values()
            if self._waits(place) and self._rates.is_surely_due(place.trunk)
        }
        if not waiting:
            return
        reading, usage = scene.reading(), scene.gate.statistics().usage
        if reading is None or reading.rules is None or not self._may_be_used(reading):
            return
        for name in waiting:
            total = usage.dialling + usage.uncounted + (usage.reported or 0) - usage.ended
            if total + 1 <= ceiling(reading.rules, scene.lanes[name]):
                scene.blame("stuck", f"somebody waits on {name} with room: {usage}")

    def _may_be_used(self, reading: Reading) -> bool:
        scene = self._scene
        fresh = scene.now() - reading.began <= scene.plan.gate.max_age - SLACK
        return fresh and reading.began > scene.perhaps_refused_at

    def _waits(self, place: _Place) -> bool:
        now = self._scene.now()
        paused = self._pauses.holds(place.lane.name, place.way)
        return place.stands and not paused and place.stands_after < now < place.deadline

    def _first(self, lane: LanePlan, trunk: str | None) -> _Place | None:
        """Who is first in a line, those left out that have been admitted and have not run yet."""
        line = sorted(
            (
                place
                for place in self._places.values()
                if place.lane is lane and place.trunk == trunk and self._waits(place)
            ),
            key=lambda place: place.rank,
        )
        served = sum(grant.lane is lane and grant.trunk == trunk for grant in self._open.values())
        return line[served] if served < len(line) else None


def _longest_wait(lane: LanePlan) -> float:
    return inf if lane.max_wait is None else lane.max_wait


class Dials:
    """One dial per admission, and one call per lead."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._admitted: set[str] = set()
        self._lead_of: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()

    def admitted(self, permit_id: str) -> None:
        if permit_id in self._admitted:
            self._scene.blame("dials", "two admissions with one permit")
        self._admitted.add(permit_id)

    def asks(self, lead: str, permit_id: str, *, again: bool) -> None:
        """A request is sent; `again` if it may be under one permit."""
        self._lead_of[permit_id] = lead
        self._asked[permit_id] += 1
        if self._asked[permit_id] > 1 and not again:
            self._scene.blame("dials", f"{lead} dialled twice with one permit")

    def began(self, call: Call) -> None:
        if not call.key:
            return
        if call.key not in self._admitted:
            self._scene.blame("dials", f"{call.id} was placed without an admission")
        lead = self._lead_of[call.key]
        self._calls[lead] += 1
        if self._calls[lead] > 1:
            self._scene.blame("dials", f"{lead} was called twice")


class Readings:
    """Readings come one at a time, not too often, and only if somebody wants to know.

    - ``ttl`` after the last one began, or ``min_interval`` after it if the count changed since;
    - after a fault not before what the answer asked for, never at once, and twice as late after
      each in a row, up to a longest pause;
    - after a good reading, one whose answer is late may have a second request, and no third; the
      next reading keeps ``min_interval`` from it, and the one after that counts from when it was
      due.

    A key is refused where the first answer says so, or two in a row; nothing else is final.
    """

    BACKOFF = 0.1
    """Seconds from a fault to the next attempt at least."""

    LONGEST = 5.0
    """Seconds from one attempt to the next that evidence of an outage asks for at most."""

    LATE = 0.5
    """Seconds after which an answer is late at the earliest."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._requests: list[Reading] = []
        self._is_tied = False
        self._was_good = False
        self._faults = 0
        self._wanted_at = -inf
        self._due_at = -inf
        self._first = 0

    def opened(self) -> None:
        self._requests = []
        self._is_tied = False
        self._was_good = False
        self._faults = 0
        self._first = len(self._scene.provider.readings)
        self.wanted()

    def wanted(self) -> None:
        """Somebody waits, or has just come."""
        self._wanted_at = self._scene.now()

    def rejected(self) -> None:
        """Somebody is told that the key is refused."""
        readings = self._scene.provider.readings[self._first :]
        answered = [reading for reading in readings if reading.outcome in {"ok", "lasting"}]
        if not answered or not all(reading.rejects for reading in answered[-2:]):
            self._scene.blame("final", "an outage was taken for a key that is refused")

    def began(self, reading: Reading) -> None:
        self._untie()
        requests = self._requests
        self._is_tied = (
            self._was_good
            and len(requests) == 1
            and requests[0].over_at == reading.began
            and reading.began >= self._late_from(requests[0])
        )
        if self._is_tied or not all(request.outcome for request in requests):
            requests.append(reading)
            if not self._is_tied:
                self._second_began()
            return
        self._next_began(reading)

    def _untie(self) -> None:
        """Tell what a request was that began at the instant at which the one before was answered.

        If it ended at that instant, too, it may have been a second one, too late; else it was the
        next reading.
        """
        if self._is_tied:
            second = self._requests[1]
            self._is_tied = False
            if second.over_at == second.began:
                self._second_began()
            else:
                del self._requests[1]
                self._next_began(second)

    def _next_began(self, reading: Reading) -> None:
        requests, self._requests = self._requests, [reading]
        if not requests:
            self._due_at = reading.began
            return
        last = _decisive(requests)
        self._was_good = last.outcome == "ok"
        self._faults = 0 if self._was_good else self._faults + 1
        soonest = self._soonest(last, self._due_at)
        earliest = soonest
        self._due_at = reading.began
        if len(requests) > 1:
            earliest = max(soonest, requests[1].began + self._scene.plan.gate.min_interval)
            # The reading was due while it kept its distance from the second request.
            if reading.began <= earliest + SLACK:
                self._due_at = soonest
        if reading.began < earliest - SLACK:
            early = earliest - reading.began
            self._scene.blame(
                "readings", f"{early:.4f} s too early after one that was {last.outcome}"
            )
        elif self._wanted_at < requests[0].began and self._scene.gate is not None:
            self._scene.blame("readings", "a reading that nobody wanted")

    def _late_from(self, first: Reading) -> float:
        wait = max(self.LATE, self._scene.plan.gate.min_interval)
        return first.began + wait - SLACK

    def _second_began(self) -> None:
        first, *further = self._requests
        if len(further) > 1:
            self._scene.blame("readings", "three requests at once")
        elif not self._was_good:
            self._scene.blame("readings", "a second request where no good answer had come before")
        elif further[0].began < self._late_from(first):
            self._scene.blame("readings", "a second request before the answer was late")

    def _soonest(self, last: Reading, due_at: float) -> float:
        gate = self._scene.plan.gate
        if self._faults:
            pause = min(gate.ttl * 2.0 ** (self._faults - 1), max(self.LONGEST, gate.ttl))
            return max(due_at + pause, last.over_at + max(self.BACKOFF, last.retry_after))
        if self._scene.changed_at >= last.began:
            return last.began + gate.min_interval
        return last.began + gate.ttl


def _decisive(requests: list[Reading]) -> Reading:
    """The request of a reading that decided it: the good one, else the one with a fault of its own.

    The other one was broken off, which looks like a transient fault without a Retry-After.
    """
    ranks = {"ok": 2, "lasting": 1, "transient": 0}
    return max(requests, key=lambda request: (ranks[request.outcome], request.retry_after))
