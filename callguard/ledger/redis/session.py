"""One worker's connection to a shared ledger: when it makes exchanges, and what if one fails.

One task makes the exchanges, one at a time, so everything that comes up during one goes into the
next. Another task listens for the server's pushes. A caller never waits for the server itself, so
cancelling the caller cancels no command.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from redis.exceptions import ConnectionError as Disconnected
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_random_exponential,
)

from callguard.backoff import LEAST_BACKOFF
from callguard.clock import Watch
from callguard.errors import LedgerUnavailable
from callguard.ledger.redis.complaints import Complaints
from callguard.ledger.redis.connection import Connection
from callguard.ledger.redis.conversation import Conversation
from callguard.ledger.redis.faults import is_final, unavailable
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.listening import hear_out
from callguard.ledger.redis.premises import PREMISE, said_of
from callguard.ledger.redis.readings import SharedReadings
from callguard.ledger.redis.scripts import EXCHANGE
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.suggestions import LEARNT
from callguard.ledger.redis.view import View
from callguard.premises import Broken
from callguard.strangers import ends_us
from callguard.tasks import begin, end
from callguard.trunks import Trunk

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

    from callguard.ledger.protocol import Claimant

__all__ = ["Session"]

logger = logging.getLogger("callguard")

_BACKOFF: Final = wait_random_exponential(multiplier=0.05, max=1.0, min=0.02)
"""Seconds between two attempts: short, because calls wait; random, because all workers retry."""


class Session:
    """Keeps a worker's view in touch with the server, from `start` to `aclose`.

    It is made in the event loop.

    Args:
        client: redis-py's asyncio client; it stays open.
        worker: the worker's id, unique in the world and without a slash.
        label: the worker's name for people.
        names: the names of keys and channels on the server.
        settings: the durations of the ledger.
        claimant: takes slots and news.
        mark: a mark that tells the worker's key from others.
        share: calls that the worker may admit while the server can't be reached; None to admit
            nobody then.
        trunks: the gate's trunks.

    Attributes:
        view: the ledger, as the gate sees and changes it.
        watch: notices when the machine has slept.
        conversation: the worker's side of the exchanges.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        worker: str,
        label: str,
        names: Names,
        settings: Settings,
        claimant: Claimant,
        mark: str,
        share: int | None = None,
        trunks: Sequence[Trunk] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.view = View(names, settings, self.speak, share=share, trunks=trunks)
        self._readings = SharedReadings(
            worker, self.view, settings.times.ttl, mark, self._loop.time, self.consult
        )
        self.view.readings = self._readings
        self.conversation = Conversation(
            worker,
            label,
            names,
            settings,
            self.view,
            self._readings,
            claimant,
            self._loop.time,
            trunks,
        )
        self.watch = Watch(self._loop)
        self.watch.on_sleep(self._note_sleep)
        self._client = client
        self._connection = Connection(client, settings.timeout)
        self._worker = worker
        self._names = names
        self._settings = settings
        self._claimant = claimant
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted = asyncio.Event()
        self._asked: list[asyncio.Future[LedgerUnavailable | None]] = []
        self._again: asyncio.TimerHandle | None = None
        self._heard_at = self._loop.time()
        self._away: LedgerUnavailable | None = None
        self._away_since = 0.0
        self._fault: BaseException | None = None
        self._faulted_at = -math.inf
        self._broke_off = False
        self._complaints = Complaints()
        self._knows_the_server = False
        self._listens = False

    async def start(self) -> None:
        """Begin the tasks, and wait until the server has answered once, or has failed to.

        If this is cancelled, `aclose` ends the tasks.

        Raises:
            LedgerUnavailable: the server rejects this client, and would again.
        """
        self._tasks = [
            begin(self._speak_when_wanted(), "callguard ledger"),
            begin(self._listen(), "callguard ledger, listening"),
            begin(self._tick(), "callguard ledger, ticking"),
        ]
        try:
            await self.consult()
        except LedgerUnavailable:
            if self._rejected:
                raise

    async def aclose(self) -> None:
        """Report the rest, leave, and end every task.

        If there is no time to report, or this is cancelled, the end of the worker's lease is
        enough: calls that were dialling count as placed then.
        """
        self.conversation.leaves = True
        self._readings.give_up()
        self.speak()
        try:
            if not self._rejected:
                await asyncio.wait(self._tasks[:1], timeout=self._settings.timeout)
        finally:
            if self._again is not None:
                self._again.cancel()
            await end(self._tasks)
            await self._connection.aclose()

    @property
    def _rejected(self) -> bool:
        return self._away is not None and is_final(self._fault)

    def speak(self) -> None:
        """Make an exchange as soon as none is in flight, to report or to ask something."""
        self._wanted.set()

    def note_broken(self, broken: Broken) -> None:
        """Report a premise that was seen to be wrong, for people who look at the ledger."""
        self.view.outbox.say(PREMISE, broken.premise, said_of(broken))
        if broken.begins:
            self.speak()

    def note_learnt(self, *, counted: bool) -> None:
        """Report whether ringing calls were learnt to be counted, for people who look."""
        self.view.outbox.say(LEARNT, int(counted))
        self.speak()

    async def consult(self) -> None:
        """Wait for an exchange that begins now or later. Cancelling leaves nothing behind.

        Raises:
            LedgerUnavailable: the server did not answer in time, or has been away for a while.
        """
        if self._away is not None:
            raise copy.copy(self._away)
        asked = self._loop.create_future()
        self._asked.append(asked)
        self.speak()
        await asyncio.wait([asked], timeout=self._settings.timeout)
        error = asked.result() if asked.done() else unavailable("no answer in time")
        if error is not None:
            raise copy.copy(error)

    # Speaking ------------------------------------------------------------------------------------

    async def _speak_when_wanted(self) -> None:
        left = False
        while not left:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                left = await self._exchange()
            except BaseException as fault:  # the client may be the user's, and raise anything
                if ends_us(fault):
                    raise
                self._note_fault(fault)
                await self._at_most_so_often()
                left = await _retrying(self._note_retry)(self._exchange)
            if not self._knows_the_server:
                self._knows_the_server = True
                await self._ask_what_it_evicts()

    async def _at_most_so_often(self) -> None:
        """Wait if the fault before was just now: other exchanges may succeed between them."""
        before, self._faulted_at = self._faulted_at, self._loop.time()
        if self._faulted_at - before < LEAST_BACKOFF:
            await asyncio.sleep(LEAST_BACKOFF)
            self._faulted_at = self._loop.time()

    async def _ask_what_it_evicts(self) -> None:
        try:
            await self._complaints.may_evict(self._connection)
        except BaseException as fault:  # whatever the client raises: it is nothing but advice
            if ends_us(fault):
                raise

    async def _exchange(self) -> bool:
        """Make one exchange; return whether it was the last."""
        asked, self._asked = self._asked, []
        self.watch.look()
        request = self.conversation.request()
        try:
            answer = await self._connection.run(EXCHANGE, self._names.keys, *request)
            self.watch.look()
            took_place = self.conversation.accept(answer)
        except BaseException as fault:
            if not self._may_be_stale(fault):
                self.conversation.doubt()
                _answer(asked, unavailable(fault))
                raise
            self._broke_off, took_place = True, False
        if not took_place:
            self.conversation.doubt()
            self._asked = asked + self._asked
            self.speak()
            return False
        self._broke_off = False
        self._note_answer()
        _answer(asked, None)
        return self.conversation.left

    def _may_be_stale(self, fault: BaseException) -> bool:
        """Whether the connection may have broken while it was idle, so that a new one will do.

        This happens after the server was restarted. If the server is away, the next exchange fails.
        """
        return isinstance(fault, Disconnected) and self._away is None and not self._broke_off

    def _note_answer(self) -> None:
        if self._away is not None:
            self._away = None
            self.view.alone = False
            self._claimant.reachable(self._loop.time() - self._away_since)
        self._heard_at = self._loop.time()
        if self.conversation.stepped:
            self._complaints.clock_stepped(self.conversation.stepped)
        if self.conversation.untold is not None:
            self._complaints.publishes_nothing(self.conversation.untold)
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.conversation.goes_on:
            self.speak()
        elif self.conversation.ask_again_at is not None:
            self._again = self._loop.call_at(self.conversation.ask_again_at, self.speak)

    def _note_deaf(self, state: RetryCallState) -> None:
        self._complaints.subscribes_to_nothing(_fault_of(state))

    def _note_retry(self, state: RetryCallState) -> None:
        fault = _fault_of(state)
        if fault is not None:
            self._note_fault(fault)

    def _note_fault(self, fault: BaseException) -> None:
        if self._rejected and not is_final(fault):
            return  # a server that rejects this client also hangs up, which changes nothing
        error = unavailable(fault)
        self._fault = fault
        began, self._away = self._away is None, error
        if began:
            self._away_since = self._loop.time()
            self.view.alone = True
            self._claimant.unreachable(error)
            self._readings.moved()

    def _note_sleep(self, slept: float, now: float) -> None:
        self.view.note_sleep(slept, now)
        self.conversation.note_sleep(slept)
        self.speak()

    async def _tick(self) -> None:
        """Renew the worker's lease and its right to read in time.

        A push notifies waiting callers of a slot. If no push can come, this asks again after each
        silence; if a push was lost, the renewal of the lease asks.
        """
        most = min(self._settings.times.ttl, self._settings.heartbeat) / 2
        while True:
            await asyncio.sleep(most)
            silent = self._loop.time() - self._heard_at >= most
            conversation = self.conversation
            goes_on = conversation.renewal_due or self._readings.under_way
            is_deaf = silent and not self._listens
            if goes_on or (is_deaf and conversation.anyone_waits):
                self.speak()

    # Listening -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        await _retrying(self._note_deaf)(
            hear_out,
            self._client,
            self._names.channels_of(self._worker),
            self._settings.heartbeat,
            self._note_listening,
            self._hear,
        )

    def _note_listening(self, listens: bool) -> None:
        self._listens = listens
        if listens:
            self.speak()  # earlier pushes did not reach this worker

    def _hear(self, message: bytes | str) -> None:
        self.watch.look()
        try:
            calls = self.conversation.hear(message)
        except Exception as error:  # noqa: BLE001, anybody may publish anything
            logger.warning("the ledger's server pushed what can't be right: %r", error)
            return
        self._heard_at = self._loop.time()
        if calls:
            self.speak()


def _fault_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _retrying(before_sleep: Callable[[RetryCallState], None]) -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception(lambda fault: not ends_us(fault)),
        wait=_BACKOFF,
        before_sleep=before_sleep,
        sleep=asyncio.sleep,
    )


def _answer(
    asked: list[asyncio.Future[LedgerUnavailable | None]], error: LedgerUnavailable | None
) -> None:
    for future in asked:
        if not future.done():
            future.set_result(error)
