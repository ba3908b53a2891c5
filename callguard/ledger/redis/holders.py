"""The contents of a shared ledger, for people: who holds slots, and who waits.

Looking changes nothing, and needs no gate.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from callguard.decision import Pause, Usage, Withheld
from callguard.ledger.redis.faults import FAULTS, unavailable
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.own_calls import OwnCalls, usage_of
from callguard.ledger.redis.pauses import pauses_in
from callguard.ledger.redis.premises import LedgerPremise, premises_in
from callguard.ledger.redis.scripts import HOLDERS
from callguard.ledger.redis.suggestions import Suggestion, suggestions_in
from callguard.ledger.redis.trunks import LedgerTrunk, trunks_in
from callguard.limits import Limits, Snapshot

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

__all__ = ["Contents", "LedgerPermit", "Waiting", "Worker", "look"]


@dataclass(frozen=True, slots=True)
class Worker:
    """A gate that shares the ledger.

    Attributes:
        id: the gate's id.
        label: the host's name and the process's number.
        lease: seconds until its lease expires; negative if it has, and nobody has noticed yet.
        silent: whether half of its lease has passed without a message from it.
    """

    id: str
    label: str
    lease: float
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LedgerPermit:
    """A permit that counts.

    Attributes:
        id: the permit's id.
        worker: the label of the gate that granted it; None for a gate that is gone.
        lane: the lane's name.
        age: seconds since it was granted.
        state: "dialling" until its dial returns, then "uncounted": the count may lack its call.
        counted_in: seconds until the counter surely shows the call, negative after that; None
            while it is dialling.
    """

    id: str
    worker: str | None
    lane: str
    age: float
    state: Literal["dialling", "uncounted"]
    counted_in: float | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The callers in the queue on one lane of one gate.

    Attributes:
        worker: the gate's label; None for a gate that is gone.
        lane: the lane's name.
        priority: lower goes first.
        callers: the number of callers, up to 1000.
        waited: seconds that the first of them has waited.
    """

    worker: str | None
    lane: str
    priority: int
    callers: int
    waited: float


@dataclass(frozen=True, slots=True)
class Contents:
    """The ledger of one workspace at one moment.

    Attributes:
        now: that moment, in seconds on the server's clock.
        known: whether there is such a ledger; after an hour of silence the server forgets all of
            it but what is paused.
        workers: the gates that share it, by label.
        permits: the permits that count, the oldest first.
        waiting: who is in the queue: higher lanes first, and in each lane who waited longest.
        snapshot: the latest snapshot, dated on the server's clock; None before the first.
        spent_until: until when, on that clock, a snapshot has to begin to authorise nothing: the
            provider refused a call then, or the ledger may know too little until then.
        lost_until: the same, where the ledger may know too little because it is new, or because
            another one was lost.
        pauses: what is paused at all gates.
        trunks: those of the gates that are limited, by name.
        premises: the premises that gates have seen not to hold.
        own: the own calls of all gates, as far as they are told from others'.
        suggestions: settings that gates have learnt, and don't go by.
    """

    now: float
    known: bool
    workers: tuple[Worker, ...]
    permits: tuple[LedgerPermit, ...]
    waiting: tuple[Waiting, ...]
    snapshot: Snapshot | None
    spent_until: float
    lost_until: float
    pauses: tuple[Pause, ...] = ()
    trunks: tuple[LedgerTrunk, ...] = ()
    premises: tuple[LedgerPremise, ...] = ()
    own: OwnCalls = field(default_factory=OwnCalls)
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def spent(self) -> bool:
        """Whether the latest snapshot authorises nothing."""
        return self.snapshot is None or self.withheld_from(self.snapshot.began) is not None

    def withheld_from(self, began: float) -> Withheld | None:
        """Why a snapshot that began at `began` authorises nothing; None if it authorises calls.

        `began` is in seconds on the server's clock.
        """
        if began <= self.lost_until:
            return "ledger lost"
        return "snapshot spent" if began <= self.spent_until else None

    @property
    def pause(self) -> Pause | None:
        """The pause of everything, if there is one."""
        return next((each for each in self.pauses if each.lane is each.trunk is None), None)

    @property
    def usage(self) -> Usage:
        """The usage by the latest snapshot, as the gates have it."""
        uncounted = sum(permit.state == "uncounted" for permit in self.permits)
        reported = None if self.snapshot is None else self.snapshot.limits.current_concurrency
        dialling = len(self.permits) - uncounted
        return usage_of(self.own.most, reported, dialling, uncounted, self.own.ended())

    @property
    def unsettled(self) -> int:
        """The calls that a snapshot which begins now may miss, though they may be going on."""
        return sum(each.counted_in is None or each.counted_in >= 0 for each in self.permits)

    def usage_by(self, limits: Limits) -> Usage:
        """The usage by a snapshot that began after this look at the ledger."""
        uncounted = sum(
            permit.counted_in is not None and permit.counted_in >= 0 for permit in self.permits
        )
        reported, dialling = limits.current_concurrency, self.usage.dialling
        ended = self.own.ended_by(reported, dialling, uncounted)
        return usage_of(self.own.most, reported, dialling, uncounted, ended)

    def inbound_by(self, usage: Usage) -> int | None:
        """Others' calls at this usage, where gates count inbound calls apart; else None."""
        return usage.others if self.own.apart and not self.own.given_up else None

    @property
    def given_up(self) -> list[str]:
        """The settings that rest on the provider's word alone, and that a refusal has ended."""
        return list(self.own.given_up)

    def as_json(self) -> dict[str, object]:
        """Return the contents as JSON objects, arrays, numbers and strings."""
        return {
            "workers": [asdict(worker) for worker in self.workers],
            "permits": [asdict(permit) for permit in self.permits],
            "waiting": [asdict(each) for each in self.waiting],
            "usage": self.usage.as_json(),
            "spent": self.spent,
            "given_up": self.given_up,
            "pauses": [asdict(pause) for pause in self.pauses],
            "premises": [asdict(premise) for premise in self.premises],
            "suggestions": [asdict(each) for each in self.suggestions],
            "trunks": [asdict(trunk) for trunk in self.trunks],
            "snapshot": None
            if self.snapshot is None
            else {"age": round(self.now - self.snapshot.began, 3), **asdict(self.snapshot.limits)},
        }


async def look(client: Redis | RedisCluster, names: Names, timeout: float) -> Contents:
    """Look at the ledger, in one round trip. Cancelling this leaves nothing behind.

    Args:
        client: redis-py's asyncio client; it stays open.
        names: the names of the ledger's keys on the server.
        timeout: seconds to wait for the answer.

    Raises:
        LedgerUnavailable: the server did not answer, or refused.
    """
    try:
        async with asyncio.timeout(timeout):
            return _read(await HOLDERS.run(client, names.keys))
    except TimeoutError:
        raise unavailable(f"no answer in {timeout:g} s") from None
    except FAULTS as fault:
        raise unavailable(fault) from None


def _read(answer: str | bytes) -> Contents:
    found = json.loads(answer)
    now, shown = found["now"], found["raw_now"] / 1000
    facts = _pairs(found["ledger"])
    sessions = _pairs(found["sessions"])
    began = int(facts.get("began", 0))
    pauses = pauses_in(found["pauses"])
    return Contents(
        now=now / 1000,
        known=bool(facts) or bool(pauses),
        workers=tuple(
            sorted(_workers(found, sessions, now), key=lambda worker: (worker.label, worker.id))
        ),
        permits=tuple(
            sorted(_permits(found, sessions, now), key=lambda permit: (-permit.age, permit.id))
        ),
        waiting=tuple(
            sorted(
                _waiting(found, sessions, now),
                key=lambda each: (each.priority, -each.waited, each.lane, each.worker or ""),
            )
        ),
        snapshot=_snapshot(facts) if began else None,
        spent_until=int(facts.get("spent_until", 0)) / 1000,
        lost_until=int(facts.get("lost_until", 0)) / 1000,
        pauses=tuple(
            Pause(pause.lane, pause.trunk, pause.by, max(0.0, shown - pause.since), pause.reason)
            for pause in pauses
        ),
        trunks=trunks_in(facts, found["starts"], found["occupied"], now),
        premises=tuple(premises_in(facts, sessions, now)),
        own=OwnCalls.found(facts, found["occupied"], now),
        suggestions=tuple(suggestions_in(facts, sessions, now)),
    )


def _workers(found: Mapping[str, Any], sessions: Mapping[str, str], now: int) -> Iterator[Worker]:
    longest = float(_pairs(found["ledger"]).get("lease", 0))
    for worker, lease_ends in _pairs(found["workers"]).items():
        left = float(lease_ends) - now
        yield Worker(worker, sessions.get(worker, worker), _seconds(left), left < longest / 2)


def _permits(
    found: Mapping[str, Any], sessions: Mapping[str, str], now: int
) -> Iterator[LedgerPermit]:
    uncounted, texts = _pairs(found["uncounted"]), _pairs(found["permits"])
    for permit in (*found["dialling"], *uncounted):
        since, _, lane = texts.get(permit, f"{now} - unknown").split(" ", 2)
        visible = uncounted.get(permit)
        yield LedgerPermit(
            id=permit,
            worker=sessions.get(permit.rpartition("-")[0]),
            lane=lane,
            age=_seconds(now - int(since)),
            state="dialling" if visible is None else "uncounted",
            counted_in=None if visible is None else _seconds(float(visible) - now),
        )


def _waiting(found: Mapping[str, Any], sessions: Mapping[str, str], now: int) -> Iterator[Waiting]:
    for claim, text in _pairs(found["claims"]).items():
        worker, _, lane = claim.split("/", 2)
        priority, _, callers, _, _, _, since, *_ = text.split()
        waited = _seconds(now - int(since))
        yield Waiting(sessions.get(worker), lane, int(priority), int(callers), waited)


def _snapshot(facts: Mapping[str, str]) -> Snapshot:
    limits = Limits.parse(json.loads(facts["limits"]))
    return Snapshot(limits, int(facts["began"]) / 1000, int(facts["received"]) / 1000)


def _pairs(flat: Iterable[str]) -> dict[str, str]:
    """Make a dict from an array in which names and values alternate; Lua's empty array is {}."""
    each = iter(flat)
    return dict(zip(each, each, strict=True))


def _seconds(milliseconds: float) -> float:
    return milliseconds / 1000
