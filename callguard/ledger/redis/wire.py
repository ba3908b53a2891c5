"""The messages between a worker and the ledger's server: every field, and its unit.

A *request* is JSON that the exchange's script gets, together with the worker's `constants`. Its
*reply* is JSON that the script returns, and a *push* is JSON that the script publishes for other
workers. Times are in whole milliseconds, and moments are on the ledger's clock, which follows the
server's.

Everything from the server is checked before any of it is used: anybody may write there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, NotRequired, Self, TypedDict

from callguard.backoff import LEAST_BACKOFF, LONGEST_BACKOFF
from callguard.decision import Usage
from callguard.in_hand import MOST, WINDOW
from callguard.ledger.early import EARLY_EVIDENCE, EARLY_EVIDENCE_SECONDS
from callguard.ledger.protocol import DatedPause
from callguard.ledger.redis.failure import Failure, Reason
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.ledger_clock import JITTER
from callguard.ledger.redis.own_calls import usage_of
from callguard.ledger.redis.pauses import pauses_in
from callguard.ledger.redis.settings import Settings
from callguard.limits import Limits
from callguard.pacing import LONGEST_PUSH_BACK

__all__ = [
    "Answer",
    "Asked",
    "Failed",
    "Happening",
    "Introduction",
    "KnownPauses",
    "News",
    "NextReading",
    "Push",
    "Request",
    "Right",
    "SharedSnapshot",
    "Status",
    "Taken",
    "constants",
    "encoded",
]

# What a worker says ------------------------------------------------------------------------------

PATIENCE: Final = 0.25
"""Seconds for which a slot is set aside for a worker that was notified to come and take it."""


def constants(worker: str, names: Names, settings: Settings) -> bytes:
    """The script's argument that is the same in every exchange of a worker.

    It consists of words, separated by spaces: first the worker and the values that each exchange
    needs, then the prefix of every channel's name and values that few exchanges need. Numbers are
    rounded up, in milliseconds, except the last of the first part, which is in calls, and the last
    two of the other, in calls and in snapshots. Constants of both sides are among them, so that
    none is written twice.
    """
    times = settings.times
    often = (times.counted_after, times.max_age, settings.lease, JITTER)
    seldom = (
        times.counter_lag,
        times.ttl,
        times.min_interval,
        settings.grace,
        LEAST_BACKOFF,
        LONGEST_BACKOFF,
        PATIENCE,
        EARLY_EVIDENCE_SECONDS,
        LONGEST_PUSH_BACK,
        WINDOW,
    )
    words = (
        worker,
        *map(_ms, often),
        settings.at_once,
        names.channels,
        *map(_ms, seldom),
        EARLY_EVIDENCE,
        MOST,
    )
    return " ".join(map(str, words)).encode()


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)


Happening = tuple[str | int, ...]
"""A kind of happening, its permit or call, and sometimes another word.

``adopt``, ``hold``, ``place``, ``release``, ``withdraw`` and ``answered`` name a permit by its
number, the first three its lane as well; ``bind`` names a permit and the hash of its call,
``note_answered``, ``note_ended`` and ``note_refused`` the hash alone; ``refuse`` and
``note_change`` name nothing. ``note_ended`` may also say when a snapshot began that the worker had
heard of before the call surely ended.
``unstart`` names a permit, ``restart`` a permit, the hash of its trunk, and its lane, and
``push_back`` a permit, the hash of its trunk, and how many ms apart starts are there. ``join``
names a permit, the hash of its trunk, and for how many ms a call is on that at most once it is
placed.
``pause`` names a lane and a trunk by `scope_key`, and where that is paused, by whom and why.
``premise`` names a premise that was seen not to hold, and what was seen, for people. ``learnt``
says by 1 that the worker has learnt that ringing calls are counted, by 0 that it doubts that again.
"""


class Asked(TypedDict):
    """The claim of the callers in the queue of one lane and trunk.

    Attributes:
        lane: the lane's name.
        priority: lower goes first.
        ceiling: calls; the highest usage up to which one may go.
        count: callers; 0 to end the claim.
        waited: ms that the first of them has waited.
        trunk: the hash of the trunk's name; left out, as the rest, where nothing limits that.
        most: starts that the trunk takes in a span; left out, as the next, where it has no rate.
        span: ms.
        calls: that the trunk takes at once; left out, as the next, where it takes any number.
        longest: ms for which a call is on the trunk at most once it is placed.
        reserved: slots that the ceiling leaves free for inbound calls; left out, as the next, where
            all calls are counted together.
        reserve: slots that it leaves free for what others add between two snapshots.
    """

    lane: str
    priority: int
    ceiling: int
    count: int
    waited: int
    trunk: NotRequired[str]
    most: NotRequired[int]
    span: NotRequired[int]
    calls: NotRequired[int]
    longest: NotRequired[int]
    reserved: NotRequired[int]
    reserve: NotRequired[int]


class Introduction(TypedDict):
    """The report of a worker that joins, for the first time or because an exchange was in doubt.

    Attributes:
        epoch: the name of the ledger that begins with this worker, if there is none.
        label: what people call the worker.
        held: the latest permits that are dialling, as far as the worker knows: of each run of them
            on one lane the first number, the last, and the lane. All from `since` on are among
            them.
        holds_more: whether it is dialling more permits than these; left out if not.
        since: the first number of the permits that the worker may have been granted without hearing
            of it: what is before is known to both.
        until: the number after the last of those.
        trunks: what people see of each trunk that is limited, as JSON, by the hash of its name.
        pauses: what the worker was told of pauses last, as it was told; left out for nothing. A
            ledger that came after the one that told it may have lost that.
    """

    epoch: str
    label: str
    held: list[tuple[int, int, str]]
    holds_more: NotRequired[bool]
    since: int
    until: int
    trunks: NotRequired[dict[str, str]]
    pauses: NotRequired[str]


class Taken(TypedDict):
    """A snapshot that the worker has taken.

    Attributes:
        token: the token of the right to read.
        began: when its request began, at the latest.
        current: calls that it counts.
        limits: all of its limits, as JSON.
        wait: ms until the next reading, at least, because a second request has just begun; left out
            for none.
    """

    token: int
    began: int
    current: int
    limits: str
    wait: NotRequired[int]


class Failed(TypedDict):
    """A reading that failed.

    Attributes:
        token: the token of the right to read.
        wait: ms until the next reading, at least: the provider asked for it, or a second request
            has just begun.
        why: the error.
    """

    token: int
    wait: int
    why: Reason


class Request(TypedDict):
    """The worker's part of an exchange.

    Attributes:
        number: how many exchanges the worker has begun, including this one.
        acknowledged: the number of the latest exchange whose answer the worker got.
        epoch: the ledger that the worker knows; empty for none.
        knows: when the snapshot began by which its ceilings are; 0 for none.
        heard: the token of the latest failure that it knows; left out for none.
        pauses: the version of what is paused that it knows; left out for none.
        trunks: of which it wants to know how many calls are on them: the hash of the name, and
            for how many ms a call is on it at most once it is placed; left out for none.
        apart: for how many ms a call can go on at most once it is placed; left out where all calls
            are counted together.
        ends: the same; left out where ends don't free at once.
        next: the number of the first permit that it would be granted.
        happenings: the happenings since the last exchange, in order.
        claims: the claims of its callers.
        sent: the latest time that the ledger's clock can show when this is sent, by the worker's
            own clock; left out if the worker knows nothing of the ledger's clock.
        silent: ms since the exchange from which the worker knows `sent`; only if it joins.
        renew: whether the lease begins anew.
        leaves: whether the worker leaves.
        join: present if the worker joins; it makes no claims then.
        unsaid: whether it is dialling permits of which the ledger knows nothing yet.
        wants_reading: whether the worker asks for the right to read.
        reads: the token of the right by which it is reading.
        taken: present after a reading.
        failed: present after a failed reading.
    """

    number: int
    acknowledged: int
    epoch: str
    knows: int
    next: int
    happenings: list[Happening]
    claims: list[Asked]
    heard: NotRequired[int]
    pauses: NotRequired[int]
    trunks: NotRequired[list[tuple[str, int]]]
    apart: NotRequired[int]
    ends: NotRequired[int]
    sent: NotRequired[int]
    silent: NotRequired[int]
    renew: NotRequired[bool]
    leaves: NotRequired[bool]
    join: NotRequired[Introduction]
    unsaid: NotRequired[bool]
    wants_reading: NotRequired[bool]
    reads: NotRequired[int]
    taken: NotRequired[Taken]
    failed: NotRequired[Failed]


encoded = json.JSONEncoder(separators=(",", ":")).encode
"""Encodes a request as it is sent."""

# What the server says ----------------------------------------------------------------------------

Status = Literal["ok", "unknown", "overtaken", "foreign"]
"""The first word of a reply.

Only ``ok`` is followed by an `Answer`. The exchange did not take place if the worker is ``unknown``
and has to join, if the request was ``overtaken`` by a later one or by a copy of itself, or if the
ledger is ``foreign``, which means of another release, whose `protocol` the reply names.
"""


class SharedSnapshot(NamedTuple):
    """The latest snapshot.

    Attributes:
        began: when its request began.
        received: when the server got it.
        reader: the id of the worker that took it.
        limits: the provider's answer.
    """

    began: int
    received: int
    reader: str
    limits: Limits

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Self:
        """Parse the snapshot in a reply or a push; raises like `Answer.parse`."""
        limits = Limits.parse(json.loads(said["limits"]))
        began, received = _wholes(said["began"], said["received"])
        return cls(began, received, str(said["reader"]), limits)


class News(NamedTuple):
    """News that concern every worker.

    Attributes:
        counts: the dialling calls and the uncounted ones.
        spent: whether the snapshot authorises nothing.
        lost: whether that is because the ledger is new, or was lost.
        snapshot: the latest snapshot; None if the worker knows it.
        own: the most calls of all workers that can be going on; None where that isn't known, and
            below 0 once the provider has refused a call.
        ended: calls that the usage is lower by, where ends free at once.
    """

    counts: tuple[int, int]
    spent: bool
    lost: bool
    snapshot: SharedSnapshot | None
    own: int | None = None
    ended: int = 0

    def usage(self, reported: int | None, *, apart: bool, ends_free: bool) -> Usage:
        """The usage of all workers.

        Args:
            reported: the snapshot's count, or None.
            apart: whether inbound calls are counted apart.
            ends_free: whether calls that are known to be over free their slots at once.
        """
        own = self.own if apart or ends_free else None
        return usage_of(own, reported, *self.counts, self.ended if ends_free else 0)

    @classmethod
    def parse(cls, said: Mapping[str, Any], knows: int = 0) -> Self:
        """Parse the news in a reply or a push; raises like `Answer.parse`.

        Args:
            said: the reply or the push.
            knows: when the snapshot that the worker knows began.
        """
        dialling, uncounted, *own = _wholes(*said["counts"], least=-1)
        if min(dialling, uncounted) < 0:
            raise ValueError(f"less than no calls: {said['counts']}")
        snapshot = said.get("snapshot")
        if snapshot is not None and snapshot["began"] == knows:
            snapshot = None
        return cls(
            (dialling, uncounted),
            bool(said["spent"]),
            bool(said["lost"]),
            None if snapshot is None else SharedSnapshot.parse(snapshot),
            own[0] if own else None,
            _wholes(said.get("ended") or 0, least=0)[0],
        )


class NextReading(NamedTuple):
    """When the next reading may begin, and why the latest failed.

    Attributes:
        due_in: ms until the next snapshot may be taken.
        free_in: ms until the right to read is free, which a reading worker may hold.
        failure: why the latest reading failed; None if it succeeded, or if the worker knows.
    """

    due_in: int
    free_in: int
    failure: Failure | None

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Self:
        """Parse it in a reply or a push; raises like `Answer.parse`."""
        failed = said.get("failed")
        failure = None if failed is None else Failure.parse(failed)
        due_in, free_in = _wholes(said["due_in"], said["free_in"])
        return cls(due_in, free_in, failure)


class Right(NamedTuple):
    """A right to read that the worker was given.

    Attributes:
        token: a token that tells the right from all others.
        began: when the right was given.
    """

    token: int
    began: int


class KnownPauses(NamedTuple):
    """What is paused, and what was resumed.

    Attributes:
        version: how often that has changed.
        text: the same, as the server has it.
        pauses: what is paused.
        shown: the server's time in seconds, by which the pauses are dated.
    """

    version: int
    text: str
    pauses: tuple[DatedPause, ...]
    shown: float

    @classmethod
    def parse(cls, said: Sequence[Any]) -> Self:
        """Parse it in a reply; raises like `Answer.parse`."""
        version, text, shown = said
        version, shown = _wholes(version, shown, least=0)
        return cls(version, _word(text), pauses_in(text), shown / 1000)

    def dated(self, now: float) -> tuple[DatedPause, ...]:
        """The pauses by a clock that shows `now` as the answer comes."""
        ages = (max(0.0, self.shown - pause.since) for pause in self.pauses)
        return tuple(
            pause._replace(since=now - age) for pause, age in zip(self.pauses, ages, strict=True)
        )


class Answer(NamedTuple):
    """The answer to an exchange that took place.

    Attributes:
        epoch: the ledger's epoch.
        now: the ledger's time.
        news: the news that concern every worker.
        void: whether the permits that the worker held now count as placed.
        others: whether callers of other workers are in the queue.
        next_reading: when the next snapshot may be taken.
        again: ms until the worker should ask again, because others are to take slots first, or
            because a trunk is due then; None not to.
        right: the right to read, if the worker was given it.
        grants: for each slot the index of the claim that got it, and the usage that it brought.
        dues: for each claim whose trunk is not due its index, and ms until that is.
        pauses: what is paused; None where the worker knows it.
        on_trunks: for each trunk that was asked about the calls that can be on it; -1 where calls
            can be there from before the ledger was lost.
        stepped: ms by which the server's clock went and the ledger's never will.
        untold: the server's words where it lets this worker publish nothing; or None.
    """

    epoch: str
    now: int
    news: News
    void: bool
    others: bool
    next_reading: NextReading
    again: int | None
    right: Right | None
    grants: list[tuple[int, int]]
    dues: list[tuple[int, int]]
    pauses: KnownPauses | None
    on_trunks: list[int]
    stepped: int
    untold: str | None

    @classmethod
    def parse(cls, reply: Mapping[str, Any], claims: int) -> Self:
        """Parse the answer to an exchange with `claims` claims.

        Raises:
            KeyError, TypeError, ValueError: it is not an answer.
            LimitsMalformed: the snapshot in it is malformed.
        """
        again, right, pauses = reply.get("again"), reply.get("right_to_read"), reply.get("pauses")
        now, stepped = _wholes(reply["now"], reply.get("stepped") or 0)
        return cls(
            epoch=_word(reply["epoch"]),
            now=now,
            news=News.parse(reply),
            void=bool(reply.get("void")),
            others=bool(reply["others"]),
            next_reading=NextReading.parse(reply),
            again=None if again is None else _wholes(again)[0],
            right=None if right is None else Right(*_wholes(right["token"], right["began"])),
            grants=_pairs(grants, claims) if (grants := reply.get("grants")) else [],
            dues=_pairs(dues, claims) if (dues := reply.get("dues")) else [],
            pauses=None if pauses is None else KnownPauses.parse(pauses),
            on_trunks=list(_wholes(*on)) if (on := reply.get("on_trunks")) else [],
            stepped=stepped,
            untold=reply.get("untold"),
        )


class Push(NamedTuple):
    """A message that the server publishes for other workers.

    Attributes:
        epoch: of which ledger it is; None where it is for one worker alone.
        news: there after a snapshot.
        next_reading: there after a right to read that brought none.
        come: whether the worker is to come for a slot that is set aside for it.
        now: the ledger's time, where there is news; else 0.
    """

    epoch: str | None
    news: News | None
    next_reading: NextReading | None
    come: bool
    now: int

    @classmethod
    def parse(cls, message: str | bytes, knows: int = 0) -> Self:
        """Parse a published message; raises like `Answer.parse`.

        Args:
            message: the message.
            knows: when the snapshot that the worker knows began.
        """
        said = json.loads(message)
        if not isinstance(said, dict):
            raise TypeError(f"not a message of a ledger: {said!r}")
        return cls(
            _word(said["epoch"]) if "epoch" in said else None,
            News.parse(said, knows) if "snapshot" in said else None,
            NextReading.parse(said) if "failed" in said else None,
            "come" in said,
            _wholes(said.get("now", 0))[0],
        )


_LARGEST: Final = 2**53 - 1
"""The largest whole number that the server, which computes with doubles, handles exactly."""


def _wholes(*values: object, least: int = -_LARGEST) -> tuple[int, ...]:
    """Numbers that the server computed."""
    found = []
    for value in values:
        if type(value) is not int and type(value) is not float:
            raise TypeError(f"not a number of a ledger: {value!r}")
        if not least <= value <= _LARGEST:
            raise ValueError(f"not a number from {least} to {_LARGEST}: {value!r}")
        found.append(math.floor(value))
    return tuple(found)


def _pairs(said: Sequence[Any], claims: int) -> list[tuple[int, int]]:
    """Of each pair the index of one of so many claims, and a number."""
    pairs = []
    for pair in said:
        index, number = _wholes(*pair)
        if not 0 <= index < claims:
            raise ValueError(f"slots for claims that nobody made: {said}")
        pairs.append((index, number))
    return pairs


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a word: {value!r}")
    return value
