"""The exchange's script on a real server, under a clock that tests set: nothing sleeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeVar, cast

from redis import Redis

from callguard import CallGuardError, Limits, Snapshot, Trunk
from callguard.ledger import Claim, Claimant
from callguard.ledger.redis.conversation import Conversation, asked_for
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.readings import SharedReadings
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.statement import runs_of
from callguard.ledger.redis.view import View
from callguard.ledger.redis.wire import Answer, Asked, Introduction, Request, constants, encoded
from tests.support.bent_server import START, BentServer
from tests.support.times import times

__all__ = [
    "LIMITS",
    "START",
    "BentLedger",
    "Happening",
    "Recorder",
    "Reply",
    "Side",
    "Worker",
    "at_once",
    "claim",
    "joined",
    "settings",
    "side_of",
]

T = TypeVar("T")

LIMITS = encoded(asdict(Limits(current_concurrency=0, concurrency_limit=9)))
"""What workers report, whatever they say that it counts."""

RING_LIMIT = times().ring_limit
"""Seconds."""

Reply = dict[str, Any]
Happening = list[str | int]


def settings(*, lease: float = 10.0, grace: float = 0.0, **changes: float) -> Settings:
    return Settings(times(**changes), lease=lease, grace=grace, timeout=1.0)


def claim(
    *,
    ceiling: int,
    callers: int = 1,
    lane: str = "default",
    priority: int = 0,
    trunk: Trunk | None = None,
    kept_free: tuple[int, int] | None = None,
) -> Asked:
    return asked_for(Claim(lane, priority, ceiling, callers, 0.0, trunk, kept_free), RING_LIMIT)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    raise AssertionError("it waits")


class Recorder:
    """The `Reader` of a gate at which nobody waits: what comes goes into the view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def came(self, snapshot: Snapshot, duration: float) -> None:
        assert duration >= 0.0
        self._view.record(snapshot)

    def failed(self, error: CallGuardError, duration: float) -> None:
        raise AssertionError(f"nobody reads here, and yet: {error} after {duration} s")

    def moved(self) -> None: ...

    def asked(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Side:
    """The library's own side of a worker, without the network."""

    view: View
    readings: SharedReadings
    conversation: Conversation


def side_of(
    worker: str,
    names: Names,
    settings: Settings,
    claimant: Claimant,
    clock: Callable[[], float],
    *,
    share: int | None = None,
    trunks: Sequence[Trunk] = (),
    exchange: Callable[[], object] = bool,
) -> Side:
    """A worker's side; `exchange` makes one exchange for whoever asks for the right to read."""

    async def consult() -> None:
        exchange()

    view = View(names, settings, lambda: None, share=share, trunks=trunks)
    readings = SharedReadings(worker, view, settings.times.ttl, "key", clock, consult)
    readings.serve(Recorder(view))
    conversation = Conversation(worker, worker, names, settings, view, readings, claimant, clock)
    return Side(view, readings, conversation)


class BentLedger(BentServer):
    """Ledger whose time tests set; a context manager, which leaves nothing on the server.

    Args:
        client: a real server's.
        workspace: what the workspace is told by.
        settings: how long things last.

    Attributes:
        now: the time, in ms since `START`.
        step: ms by which the server's clock is ahead of it.
    """

    def __init__(self, client: Redis, workspace: str, settings: Settings) -> None:
        super().__init__(client, Names(workspace))
        self.now = 0
        self.step = 0
        self.settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def run(self, *request: str | bytes) -> bytes:
        """Run the script now; the arguments are those that `Conversation.request` makes."""
        answer, _ = self.exchange(self.now + self.step, *request)
        return answer


class Worker:
    """A worker that says what the test wants, in exchanges that are numbered as they should be.

    Attributes:
        held: the permits that it was granted, by what the answers said.
        since: the first number that it may have been granted without hearing of it.
        knows: the beginning of the snapshot that its ceilings are of.
        pauses: what it was told of pauses last.
        lead: ms by which the ledger's clock was ahead of its own when it heard of it last.
        heard_at: when that was.
        constants: what it says in each exchange.
    """

    def __init__(self, ledger: BentLedger, name: str) -> None:
        self.held: list[int] = []
        self.epoch = ""
        self.number = 0
        self.acknowledged = 0
        self.knows = 0
        self.pauses = "{}"
        self.lead = START
        self.heard_at = ledger.now
        self.next = self.since = 1
        self._name = name
        self._ledger = ledger
        self.constants = constants(name, ledger.names, ledger.settings)

    def words(self, *happenings: Happening, **more: object) -> str:
        """The next exchange; `more` is what is said otherwise in it, or besides."""
        self.number += 1
        request = Request(
            number=self.number,
            acknowledged=self.acknowledged,
            epoch=self.epoch,
            knows=self.knows,
            next=self.next,
            happenings=[tuple(happening) for happening in happenings],
            claims=[],
            sent=self._ledger.now + self.lead,
            silent=self._ledger.now - self.heard_at,
        )
        request.update(cast(Request, more))
        return encoded(request)

    def send(self, words: str) -> Reply:
        """Make an exchange; its answer has to be one that a worker believes."""
        reply: Reply = json.loads(self._ledger.run(words, self.constants))
        if reply["status"] == "ok":
            Answer.parse(reply, len(json.loads(words)["claims"]))
        return reply

    def lose(self, *happenings: Happening, **more: object) -> Reply:
        """Make one exchange whose answer the worker doesn't hear."""
        return self.send(self.words(*happenings, **more))

    def say(self, *happenings: Happening, **more: object) -> Reply:
        """Make one exchange, and believe its answer."""
        reply = self.lose(*happenings, **more)
        if reply["status"] == "ok":
            self.believe(reply)
        return reply

    def join(self, *happenings: Happening, **more: object) -> Reply:
        """Come, or come back, and say what it holds."""
        return self.say(*happenings, join=self.introduction(), renew=True, **more)

    def introduction(self) -> Introduction:
        """What it says when it comes."""
        return Introduction(
            epoch=f"epoch of {self._name} at {self._ledger.now}",
            label=f"label of {self._name}",
            held=runs_of([(number, "default") for number in self.held]),
            since=self.since,
            until=self.next,
            pauses=self.pauses,
        )

    def ask(
        self,
        ceiling: int,
        callers: int = 1,
        *,
        priority: int = 0,
        trunk: Trunk | None = None,
        happenings: list[Happening] | None = None,
    ) -> int:
        """Ask for slots on one lane and trunk; how many were given."""
        before = len(self.held)
        asked = claim(ceiling=ceiling, callers=callers, priority=priority, trunk=trunk)
        self.say(*(happenings or []), claims=[asked])
        return len(self.held) - before

    def place(self) -> Reply:
        """Say that the dial of the oldest permit has returned."""
        return self.say(["place", self.held.pop(0), "default"])

    def returned(self) -> list[Happening]:
        """What says that all it holds is given back."""
        happenings: list[Happening] = [["release", number] for number in self.held]
        self.held.clear()
        return happenings

    def turn(self) -> Reply | None:
        """Ask for the right to read; None if it isn't this worker's."""
        turn: Reply | None = self.say(wants_reading=True).get("right_to_read")
        return turn

    def record(self, turn: Reply, current: int = 0) -> Reply:
        """Report a snapshot that was taken by the right `turn`."""
        taken = {**turn, "current": current, "limits": LIMITS}
        return self.say(taken=taken)

    def fail(self, turn: Reply, wait: int = 0) -> Reply:
        """Report that the right `turn` brought no snapshot."""
        why = {"text": "HTTP 503", "kind": "unavailable", "status": 0, "mark": "key", "took": 0}
        return self.say(failed={"token": turn["token"], "wait": wait, "why": why})

    def read(self, current: int = 0) -> Reply:
        """Take a snapshot in no time."""
        turn = self.turn()
        assert turn is not None
        return self.record(turn, current)

    def believe(self, reply: Reply) -> None:
        """Take in what the server answered."""
        if self.epoch != reply["epoch"]:
            self.epoch, self.knows = reply["epoch"], 0
        self.acknowledged = self.number
        self.lead = reply["now"] - self._ledger.now
        self.heard_at = self._ledger.now
        if reply.get("snapshot"):
            self.knows = reply["snapshot"]["began"]
        if reply.get("pauses"):
            _, self.pauses, _ = reply["pauses"]
        given = len(reply.get("grants") or ())
        self.held.extend(range(self.next, self.next + given))
        self.next += given
        self.since = self.next


def joined(ledger: BentLedger, *names: str, current: int = 0) -> list[Worker]:
    """Workers, of which the first has taken a reading at 10 ms."""
    workers = [Worker(ledger, name) for name in names]
    for worker in workers:
        worker.join()
    ledger.now = 10
    workers[0].read(current)
    for worker in workers[1:]:
        worker.say()
    return workers
