"""How soon it is learnt that ringing is counted, and how often that is learnt wrongly.

    python -m tests.campaigns.learning

Half hours of workspaces in which own calls are dialled as fast as a gate lets them go, others call
in, alone, in bursts or back, and a second dialer may dial in step. The counter, the news of calls
and the snapshots are a small model of the provider; what learns from them is the library's own.

Prints how long it takes where ringing is counted, and in how many worlds it is learnt where it
isn't, by the share of own calls with which somebody else begins and hangs up as our ringing does.
All else keeps the premise of learning.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import os
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from callguard.limits import Limits, Snapshot
from callguard.premises.learning import Learning
from callguard.premises.lives import Life

LAG = 2.0
"""Seconds: the counter is no later than said, and the gate is told so."""

RING_LIMIT = 30.0
"""Seconds."""

DIAL = 0.2
"""Seconds that a dial takes to return."""

OFTEN = 0.3
"""Calls a second that others begin at most, where the premise of learning is kept."""


@dataclass(frozen=True, slots=True)
class World:
    """A workspace, and what is going on there.

    Attributes:
        limit: calls.
        counts_ringing: whether the counter does.
        seed: of every draw.
        asks: whether news of calls comes by asking after each snapshot, not by webhooks.
        rings, talks: seconds, on average.
        answered: the share of own calls that is answered.
        lost: the share of the news that never comes.
        late: seconds by which webhooks are late, at most.
        cps: own calls that start per second; None for any number.
        others: calls a second by others, on average.
        burst: calls by others that come at once, now and then; 0 for none.
        call_back: the share of own unanswered calls that is called back within seconds.
        in_step: whether a second dialer dials whenever we do, as often.
        echo: the share of own calls with which somebody begins and ends as the ringing does.
        answers_told: whether there is news of answers.
    """

    limit: int
    counts_ringing: bool
    seed: int
    asks: bool = False
    rings: float = 10.0
    talks: float = 60.0
    answered: float = 0.7
    lost: float = 0.0
    late: float = 0.5
    cps: float | None = None
    others: float = 0.0
    burst: int = 0
    call_back: float = 0.0
    in_step: bool = False
    echo: float = 0.0
    answers_told: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """When ringing was first taken to be counted, in seconds, or None; and the highest score."""

    learnt_at: float | None
    highest: int


class _Workspace:
    """Lives through a world, second by second, and takes a snapshot in each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.draw = random.Random(world.seed)
        self.now = 0.0
        self.count = 0
        self.happens: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.learning = Learning(counter_lag=LAG, ring_limit=RING_LIMIT)
        self.rise, self.fall = self.draw.uniform(0.0, LAG), self.draw.uniform(0.0, LAG)
        # What a gate would know: own calls that it has not seen counted yet, by their lives.
        self.uncounted: dict[int, tuple[Life, float]] = {}
        self.news: list[tuple[Life, str, float]] = []
        self.came = -math.inf
        self.started = -math.inf
        self.ahead = math.inf
        self.asked = -math.inf

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.happens, (self.now + seconds, next(self.order), what))

    def until(self, at: float) -> None:
        while self.happens and self.happens[0][0] <= at:
            self.now, _, what = heapq.heappop(self.happens)
            what()
        self.now = at

    # The counter ---------------------------------------------------------------------------------

    def counted(self, seconds: float) -> None:
        """Count a call for so many seconds from now on, as late as the counter is."""
        if seconds + self.fall > self.rise:
            self.after(self.rise, partial(self._add, 1))
            self.after(seconds + self.fall, partial(self._add, -1))

    def _add(self, calls: int) -> None:
        self.count += calls

    # Calls ---------------------------------------------------------------------------------------

    def fate(self) -> tuple[float, float]:
        """Seconds that a call rings, and talks; 0 of talk where nobody answers."""
        draw, world = self.draw, self.world
        if draw.random() < world.answered:
            return min(draw.expovariate(1 / world.rings), RING_LIMIT), draw.expovariate(
                1 / world.talks
            )
        ring = RING_LIMIT if draw.random() < 0.5 else draw.expovariate(1 / world.rings)
        return min(ring, RING_LIMIT), 0.0

    def outbound(self, rings: float, talks: float) -> None:
        """Let the counter count a call, ours or of another dialer."""
        if self.world.counts_ringing:
            self.counted(rings + talks)
        elif talks:
            self.after(rings, partial(self.counted, talks))

    def dial(self) -> None:
        """One own call."""
        world, draw = self.world, self.draw
        rings, talks = self.fate()
        life = Life(granted_after=self.came)
        self.outbound(rings, talks)
        self.after(DIAL, partial(self.placed, life))
        if talks and world.answers_told:
            self.tell(life, "answered", rings)
        self.tell(life, "over", rings + talks)
        if draw.random() < world.echo:
            self.counted(rings)
        if not talks and draw.random() < world.call_back:
            self.after(
                rings + draw.uniform(0.5, 8.0), partial(self.counted, draw.expovariate(1 / 60.0))
            )
        if world.in_step:
            self.after(draw.uniform(0.0, 0.3), partial(self.outbound, *self.fate()))

    def placed(self, life: Life) -> None:
        """The dial has returned, and the gate knows the call's id."""
        life.placed = self.now
        self.learning.placed(life)
        if life.over == math.inf:
            until = self.now + RING_LIMIT + LAG
            self.uncounted[id(life)] = (life, min(until, life.answered + LAG))

    def tell(self, life: Life, what: str, after: float) -> None:
        world, draw = self.world, self.draw
        if world.asks:
            self.after(after, partial(self.news.append, (life, what, self.now + after)))
        elif draw.random() >= world.lost:
            late = draw.uniform(0.1, world.late)
            self.after(after + late, partial(self.hear, life, what, self.now + after))

    def hear(self, life: Life, what: str, at: float) -> None:
        now = self.now
        if what == "answered":
            self.ahead = min(self.ahead, at - life.granted_after)
        before = self.asked if self.world.asks else at - self.ahead - 1.0
        if what == "answered":
            life.note_answered(now, before)
            if id(life) in self.uncounted:
                self.uncounted[id(life)] = (life, now + LAG)
        else:
            life.note_over(now, before)
            self.learning.ended(life)
            self.uncounted.pop(id(life), None)

    # A gate --------------------------------------------------------------------------------------

    def snapshot(self) -> None:
        world, draw = self.world, self.draw
        began = self.now
        takes = draw.uniform(0.02, 0.2)
        at = draw.uniform(0.0, takes)
        self.until(began + at)
        count = self.count
        self.until(began + takes)
        snapshot = Snapshot(Limits(count, world.limit), began, self.now)
        self.learning.taken(snapshot, self.now)
        self.came = self.now
        self.uncounted = {
            key: (life, until) for key, (life, until) in self.uncounted.items() if until >= began
        }
        if world.asks:
            self.after(0.1, self.ask)
        room = world.limit - count - len(self.uncounted)
        if world.cps is not None:
            room = min(room, 1) if self.now >= self.started + 1 / world.cps else 0
        for _ in range(room):
            self.started = self.now
            self.dial()

    def ask(self) -> None:
        """Hear of every own call; those that still ring are heard to do so."""
        for life, what, at in self.news:
            self.hear(life, what, at)
        self.news.clear()
        self.asked = self.now

    # Others --------------------------------------------------------------------------------------

    def others(self) -> None:
        world, draw = self.world, self.draw
        if world.others:
            self.after(draw.expovariate(world.others), self.somebody_calls)
        if world.burst:
            self.after(draw.expovariate(1 / 60.0), self.many_call)

    def somebody_calls(self) -> None:
        self.counted(self.draw.expovariate(1 / 60.0))
        self.after(self.draw.expovariate(self.world.others), self.somebody_calls)

    def many_call(self) -> None:
        for _ in range(self.draw.randint(1, self.world.burst)):
            self.counted(self.draw.uniform(5.0, 60.0))
        self.after(self.draw.expovariate(1 / 60.0), self.many_call)


def live(world: World, seconds: float = 1800.0, *, stops: bool = True) -> Outcome:
    """Live through a world, at most until it is learnt that ringing is counted."""
    workspace = _Workspace(world)
    workspace.others()
    learning = workspace.learning
    highest, learnt_at = 0, None
    at = 0.0
    while at < seconds:
        workspace.until(max(at, workspace.now))
        workspace.snapshot()
        highest = max(highest, learning.score)
        if learning.learnt and learnt_at is None:
            learnt_at = at
            if stops:
                break
        at = max(at + 1.0, workspace.now)
    return Outcome(learnt_at, highest)


def any_world(seed: int, *, counts_ringing: bool = False, echo: float = 0.0) -> World:
    """A drawn world that keeps the premise of learning, but for an echo.

    What others do is a matter of chance, and seldom: they begin `OFTEN` calls a second at most, so
    that fewer than one in three beginnings or ends of own ringing come within a second of theirs.
    A second dialer in step rings as we do, which isn't counted, and its calls are answered at other
    moments.
    """
    draw = random.Random(f"{seed} of learning")
    return World(
        limit=draw.choice((1, 2, 5, 20, 20, 50, 100)),
        counts_ringing=counts_ringing,
        seed=seed,
        asks=draw.random() < 0.3,
        rings=draw.choice((3.0, 10.0, 20.0)),
        talks=draw.choice((15.0, 60.0, 180.0)),
        answered=draw.choice((0.1, 0.4, 0.7, 1.0)),
        lost=draw.choice((0.0, 0.0, 0.02, 0.2)),
        late=draw.choice((0.3, 0.5, 2.0, 4.5)),
        cps=draw.choice((None, None, 1.0)),
        others=draw.choice((0.0, 0.0, 0.05, OFTEN, OFTEN)),
        burst=draw.choice((0, 0, 3, 10)),
        call_back=draw.choice((0.0, 0.0, 0.1)),
        in_step=draw.random() < 0.2,
        echo=echo,
    )


LIMITS = (1, 5, 20, 100)

ECHOES = (0.0, 0.2, 0.33, 0.5, 0.65, 0.8, 0.95)


def learnt_at(limit: int, asks: bool, seed: int) -> float | None:
    """Seconds until it is learnt where ringing is counted, and nobody else calls."""
    return live(World(limit, counts_ringing=True, seed=seed, asks=asks), 7200.0).learnt_at


def wrong(echo: float, seed: int) -> Outcome:
    """What came of a drawn world in which ringing isn't counted."""
    return live(any_world(seed, echo=echo))


def _row(limit: int, asks: bool, times: list[float | None]) -> str:
    known = sorted(math.inf if each is None else each for each in times)
    quantiles = (known[len(known) // 2], known[9 * len(known) // 10], known[-1])
    shown = " | ".join(f"{each / 60:.1f}" for each in quantiles)
    return f"| {limit} | {'asking' if asks else 'webhooks'} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100, help="worlds in which it can be learnt")
    parser.add_argument("--worlds", type=int, default=2000, help="in which it would be wrong")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with ProcessPoolExecutor(options.processes) as pool:
        print("| limit | news by | minutes until learnt, median | 9 in 10 | all |")
        print("|---|---|---|---|---|")
        for limit, asks in itertools.product(LIMITS, (False, True)):
            times = pool.map(partial(learnt_at, limit, asks), range(options.seeds))
            print(_row(limit, asks, list(times)), flush=True)
        print("\n| echo | worlds | learnt wrongly | highest score |")
        print("|---|---|---|---|")
        for echo in ECHOES:
            lived = list(pool.map(partial(wrong, echo), range(options.worlds), chunksize=10))
            wrongly = sum(each.learnt_at is not None for each in lived)
            highest = max(each.highest for each in lived)
            print(f"| {echo:.0%} | {len(lived)} | {wrongly} | {highest} |", flush=True)


if __name__ == "__main__":
    main()
