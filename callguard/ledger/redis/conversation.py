"""One worker's side of the exchanges: makes its requests, and interprets the server's answers.

A worker numbers its exchanges and makes one at a time, so an exchange that it has given up changes
nothing when it runs late. After any doubt the worker joins anew: it reports which permits it holds,
and any other that the server has granted to it is given back. If the server no longer knows the
worker, either the worker's lease has expired or the ledger was lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from callguard.ledger.protocol import Claim, Claimant
from callguard.ledger.redis.faults import foreign
from callguard.ledger.redis.keys import Names, trunk_hash
from callguard.ledger.redis.ledger_clock import JITTER, LedgerClock
from callguard.ledger.redis.pauses import with_unheard
from callguard.ledger.redis.readings import SharedReadings
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.shared_trunks import lasting_ms
from callguard.ledger.redis.statement import Statement
from callguard.ledger.redis.trunks import said_of
from callguard.ledger.redis.view import View
from callguard.ledger.redis.wire import (
    Answer,
    Asked,
    Happening,
    KnownPauses,
    Push,
    Request,
    constants,
    encoded,
)
from callguard.trunks import Trunk

__all__ = ["Conversation", "asked_for"]

MOST_SLOTS: Final = 1000
"""The most slots for which a claim asks in one exchange, which may bring fewer."""

_EARLY: Final = 1e-6
"""Seconds by which the loop may wake a timer too early: its clock's resolution, with room to spare.

An exchange that was brought about by such a timer would otherwise set it again, for no time at all.
"""


class Conversation:
    """One worker's side of the exchanges.

    Args:
        worker: the worker's id, unique in the world and without a slash.
        label: the worker's name for people.
        names: the names of channels on the server.
        settings: the durations of the ledger.
        view: has what to report, and takes the answers.
        readings: has what to report about readings, and takes the answers about them.
        claimant: takes slots and news.
        clock: the event loop's clock, in seconds.
        trunks: the gate's trunks.

    Attributes:
        ask_again_at: when to ask again, because others are to take slots first, or because a trunk
            is due; None not to.
        leaves: whether the worker has to leave as soon as everything is reported.
        left: whether it has left.
        goes_on: whether another exchange has to follow at once, as there may be more to report, or
            the last made no claims.
        stepped: seconds by which the server's clock had stepped by the last exchange.
        untold: why the server published nothing for this worker in the last exchange, or None.
    """

    def __init__(
        self,
        worker: str,
        label: str,
        names: Names,
        settings: Settings,
        view: View,
        readings: SharedReadings,
        claimant: Claimant,
        clock: Callable[[], float],
        trunks: Iterable[Trunk] = (),
    ) -> None:
        self.ask_again_at: float | None = None
        self.leaves = False
        self.left = False
        self.goes_on = False
        self.stepped = 0.0
        self.untold: str | None = None
        self._leaving = False
        self._worker = worker
        self._label = label
        self._settings = settings
        self._constants = constants(worker, names, settings)
        self._view = view
        self._readings = readings
        self._claimant = claimant
        self._clock = clock
        self._trunks = said_of(trunks, settings.times.ring_limit)
        self._epoch: str | None = None
        self._number = 0
        self._acknowledged = 0
        self._joined = False
        self._claims: dict[tuple[str, str | None], Claim] = {}
        self._answered_at = 0  # the ledger's time
        self._happenings: list[Happening] = []
        self._ring_limit = settings.times.ring_limit
        self._pauses_version, self._pauses = 0, ""
        self._sent_at = 0.0
        self._first_number = self._next_number = 1
        self._statement = Statement(view, settings.at_once)
        self._renews = True
        self._renew_at = -math.inf
        self._ledger_clock = LedgerClock(clock)

    # Speaking ------------------------------------------------------------------------------------

    @property
    def renewal_due(self) -> bool:
        """Whether the lease should be renewed now."""
        return self._clock() >= self._renew_at

    @property
    def anyone_waits(self) -> bool:
        """Whether callers of this worker are in the queue."""
        return bool(self._claimant.claims(None))

    def request(self) -> tuple[str, bytes]:
        """Make the script's arguments for the next exchange."""
        self._sent_at = self._clock()
        self._number += 1
        self._renews = self._sent_at >= self._renew_at or not self._joined
        asked = self._asked()
        happenings = self._happenings = self._view.outbox.batch()
        self.goes_on = len(happenings) >= self._settings.at_once
        self._leaving = self.leaves and self._view.outbox.batch_is_all
        request: Request = {
            "number": self._number,
            "acknowledged": self._acknowledged,
            "epoch": self._epoch or "",
            "knows": self._readings.knows,
            "next": self._first_number,
            "happenings": happenings,
            "claims": asked,
        }
        self._view.trunks.add_to(request)
        if self._view.trunks.fill:
            self._ask_about_trunks(request)
        if (word := self._ledger_clock.word(self._sent_at)) is not None:
            request["sent"], silent = word
            if not self._joined:
                request["silent"] = silent
        if self._pauses_version:
            request["pauses"] = self._pauses_version
        if self._statement.is_incomplete and self._statement.leaves_some_unsaid():
            request["unsaid"] = True
        self._readings.add_to(request)
        if self._renews or self._leaving:
            self._add_what_is_rare(request)
        return encoded(request), self._constants

    def _ask_about_trunks(self, request: Request) -> None:
        claimed = {claim.trunk for claim in self._claims.values()}
        if trunks := self._view.trunks.question(claimed, about_all=self._renews):
            request["trunks"] = trunks

    def _add_what_is_rare(self, request: Request) -> None:
        if self._renews:
            request["renew"] = True
        if not self._joined:
            introduction = self._statement.introduction(self._label, self._trunks)
            if self._pauses:
                introduction["pauses"] = self._pauses
            request["join"] = introduction
            self._leaving = self._leaving and self._statement.is_whole
        if self._leaving:
            request["leaves"] = True

    def _asked(self) -> list[Asked]:
        """What is claimed, and the numbers of the permits that may be granted.

        A worker that joins claims nothing, or ever more numbers would be in doubt while no answer
        comes.
        """
        # Callers may be granted permits from the local share before the answer comes.
        self._first_number = self._next_number = self._view.next_number
        self._claims = self._claims_now() if self._joined else {}
        asked, callers = [], 0
        for claim in self._claims.values():
            asked.append(asked_for(claim, self._ring_limit))
            callers += claim.callers
        if self._joined:
            self._next_number += min(callers, self._settings.at_once)
            self._view.next_number = self._next_number
            self._statement.doubtful = range(self._first_number, self._next_number)
        return asked

    def _claims_now(self) -> dict[tuple[str, str | None], Claim]:
        """The claims of the waiting callers, and an end to each claim that nobody makes any more.

        With a snapshot to report goes what they need under that, so that they are given slots in
        the same exchange.
        """
        claims = {}
        for claim in self._claimant.claims(self._readings.taken):
            claims[claim.key] = claim
        for key, claim in self._claims.items():
            if claim.callers and key not in claims:
                claims[key] = claim._replace(callers=0)
        return claims

    # Hearing -------------------------------------------------------------------------------------

    def doubt(self) -> None:
        """Note that an exchange had no answer, so it may have run or not."""
        self._joined = False

    def note_sleep(self, slept: float) -> None:
        """Date everything back by the `slept` seconds for which the machine slept.

        The server's clock went on, and so did this worker's lease.
        """
        self._readings.note_sleep(slept)
        self._sent_at -= slept
        self._renew_at -= slept
        self._ledger_clock.note_sleep(slept)

    def accept(self, answer: str | bytes) -> bool:
        """Take in the server's answer to the latest request.

        Returns:
            Whether the exchange took place.

        Raises:
            LedgerUnavailable: the ledger is of another protocol.
        """
        reply = json.loads(answer if isinstance(answer, str) else answer.decode())
        if reply["status"] == "foreign":
            raise foreign(reply["protocol"])
        if reply["status"] != "ok":
            # The worker is unknown, or the request was overtaken by a copy that a client sent.
            return False
        heard = Answer.parse(reply, len(self._claims))
        claimed = self._joined
        self._acknowledge(heard)
        self.goes_on |= not claimed and (self.anyone_waits or bool(self._view.outbox))
        self._answered_at = heard.now
        self._ledger_clock.showed(heard.now / 1000, self._sent_at)
        self.stepped, self.untold = heard.stepped / 1000, heard.untold
        self._view.see(heard.news)
        self._readings.take_snapshot(heard.news.snapshot, self._ledger_clock.local)
        self._view.others_wait = heard.others
        self._readings.take_next(heard.next_reading, others_wait=heard.others)
        if heard.again is not None:
            self.ask_again_at = self._clock() + heard.again / 1000
        elif self.ask_again_at is not None and self.ask_again_at <= self._sent_at + _EARLY:
            self.ask_again_at = None  # this exchange has asked
        if heard.right is not None:
            self._readings.take_right(heard.right)
        keys = list(self._claims)
        for index, left in heard.dues:
            _, trunk = keys[index]
            if trunk is not None:
                self._view.trunks.due_at[trunk] = self._clock() + left / 1000
        if heard.on_trunks:
            self._view.trunks.take_answer(heard.on_trunks)
        if heard.pauses is not None:
            self._take_pauses(heard.pauses)
        self._take_slots(heard.grants)
        return True

    def _take_pauses(self, known: KnownPauses) -> None:
        now, unheard = self._clock(), self._view.outbox.pending()
        self._pauses_version, self._pauses = known.version, known.text
        self._claimant.take_pauses(with_unheard(known.dated(now), unheard, now))

    def hear(self, message: str | bytes) -> bool:
        """Take in a message that the server pushed.

        Returns:
            Whether it calls for an exchange.

        Raises:
            Exception: the message is not a push. Anybody may publish anything.
        """
        push = Push.parse(message, self._readings.knows)
        if push.epoch is not None and push.epoch != self._epoch:
            return True
        if push.news is not None:
            if push.news.snapshot is None and push.now <= self._answered_at:
                return False  # the answer said it
            snapshot, local = push.news.snapshot, self._ledger_clock.local
            if snapshot is not None and local(snapshot.received) > self._clock() + JITTER:
                return True  # this worker's clock stood still, and only an answer sets it
            self._view.see(push.news)
            self._readings.take_snapshot(snapshot, local)
        if push.next_reading is not None:
            self._readings.take_next(push.next_reading)
            return True
        return push.come or self._ceilings_changed()

    def _ceilings_changed(self) -> bool:
        """Whether the server knows a ceiling of a lane that is no longer right, or none."""
        for claim in self._claimant.claims(None):
            known = self._claims.get(claim.key)
            says = known and (known.ceiling, known.kept_free)
            if says != (claim.ceiling, claim.kept_free):
                return True
        return False

    def _acknowledge(self, heard: Answer) -> None:
        if heard.void:
            self._claimant.lost(self._view.lose())
        is_unknown = self._epoch != heard.epoch
        if is_unknown:
            self._epoch = heard.epoch
            self._pauses_version = 0
            self._readings.begin_anew(heard.epoch)
            self._ledger_clock.begin_anew()
            if self._view.gave_up:
                self._view.outbox.say("refuse")  # of which this ledger may know nothing
        self._joined = True
        self._acknowledged = self._number
        self._readings.reported()
        if is_unknown or heard.void or self._statement.is_incomplete:
            self._statement.heard(is_unknown=is_unknown, is_void=heard.void)
        if self._happenings:
            self._view.reported()
        self.left = self._leaving
        if self._renews:
            self._renew_at = self._sent_at + self._settings.heartbeat
            self._view.valid_until = self._sent_at + self._settings.lease

    def _take_slots(self, grants: Sequence[tuple[int, int]]) -> None:
        valid = self._clock() <= self._view.valid_until
        if self._view.next_number == self._next_number:
            self._view.next_number = self._first_number + len(grants)
        claims = list(self._claims.items())
        for number, (index, usage) in enumerate(grants, self._first_number):
            (_, trunk), claim = claims[index]
            if valid:
                self._view.hold(number, claim.lane, trunk, self._clock())
                self._claimant.granted(claim, number, usage)
            else:
                self._view.unstart(number, None)  # it was charged on the server alone
                self._view.withdraw(number)


def asked_for(claim: Claim, ring_limit: float) -> Asked:
    """What is said of a claim, where a call rings for so many seconds at most."""
    asked: Asked = {
        "lane": claim.lane,
        "priority": claim.priority,
        "ceiling": claim.ceiling,
        "count": min(claim.callers, MOST_SLOTS),
        "waited": int(claim.waited * 1000),
    }
    if (trunk := claim.trunk) is not None:
        asked["trunk"] = trunk_hash(trunk.name)
        if trunk.cps is not None:
            asked["most"] = trunk.most
            asked["span"] = math.ceil(trunk.span * 1000)
        if trunk.calls is not None:
            asked["calls"] = trunk.calls
            asked["longest"] = lasting_ms(trunk, ring_limit)
    if claim.kept_free is not None:
        asked["reserved"], asked["reserve"] = claim.kept_free
    return asked
