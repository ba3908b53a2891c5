"""Asks the provider about calls that the counter may not show, or that are in a caller's way.

An answer is evidence, and evidence only ever lets a gate admit sooner. So asking may cost the
provider little, and the readings nothing. A round of questions follows a reading for which somebody
waits, so while nobody waits nothing is asked. It is one request: a list of the calls, or where
lists are refused a few calls one by one. `callguard.gate.budget` says how often. Rounds become
rarer while webhooks bring evidence before it is asked for, and as frequent as before where those
stop, by the rule of `callguard.gate.unasked`. A fault costs its evidence, and nothing else.

While the gate learns from the ends of calls what the counter includes, a list is also asked about
calls that the counter shows.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from callguard.errors import CallGuardError, LimitsMalformed, LimitsRejected
from callguard.fetcher import CallState
from callguard.fetcher.calls import NOT_KNOWN
from callguard.gate.budget import Budget, Lists
from callguard.gate.unasked import News, Unasked
from callguard.premises.lives import PATIENCE
from callguard.showing import named
from callguard.strangers import ends_us, log_failure
from callguard.tasks import begin

__all__ = ["Asker", "Questions"]

BESIDES_AGAIN: Final = PATIENCE / 2
"""Seconds until the gate asks again about a call that it asks about besides. Evidence that is later
than `PATIENCE` is too late to learn by, and each listed call costs the provider a few kilobytes."""

ONE_BY_ONE: Final = 2
"""Calls of a round that are asked about one by one, where lists are refused. Our own choice."""


class Questions(Protocol):
    """Answers questions about calls, as a `LimitFetcher` does."""

    async def ask(self, call_id: str) -> CallState:
        """Ask about one call; raises a CallGuardError for a fault."""

    async def ask_all(self, call_ids: Sequence[str]) -> Mapping[str, CallState]:
        """Ask about many calls at once; a call that is left out may be in any state."""


class _Told(Protocol):
    """The recipient of the provider's answers: an `Issuer`."""

    def note_ringing(self, call_id: str, asked: float) -> None: ...
    def note_answered(
        self, call_id: str, at: float | None = None, *, asked: bool = False
    ) -> None: ...
    def note_ended(
        self, call_id: str, *, refused: bool, at: float | None = None, asked: bool = False
    ) -> None: ...


@dataclass(slots=True)
class _Question:
    """A call in question.

    Attributes:
        since: when it was first asked about.
        asked: when it was last asked about.
        besides: whether it is asked about only where a list has room, and not each time.
        reported: what has been reported of it.
    """

    since: float
    asked: float = -math.inf
    besides: bool = False
    reported: Literal["", News] = ""


class Asker:
    """Asks about calls, one round at a time.

    Args:
        questions: asks the provider.
        told: takes the answer about each call.
        time: the event loop's clock, in seconds.
        ring_limit: seconds that a call rings at most; a list has to show it after that.
    """

    def __init__(
        self,
        questions: Questions,
        told: _Told,
        time: Callable[[], float],
        ring_limit: float,
    ) -> None:
        self._questions = questions
        self._told = told
        self._time = time
        self._ring_limit = ring_limit
        self._budget = Budget()
        self._lists = Lists()
        self._unasked = Unasked()
        self._in_question: dict[str, _Question] = {}
        self._round: asyncio.Task[None] | None = None

    def ask(
        self, call_ids: Iterable[str], part: float = 1.0, *, besides: Iterable[str] = ()
    ) -> None:
        """Begin a round about these calls, if one may begin now.

        Args:
            call_ids: the calls in question, all of them; what matters most comes first.
            part: this gate's share of all rounds, where many gates ask.
            besides: further calls, asked about in the same list if it has room for them.
        """
        now = self._time()
        self._unasked.in_question(call_ids)
        is_under_way = self._round is not None and not self._round.done()
        if is_under_way or not self._budget.allows(now, part / self._unasked.rarer(now)):
            return
        known, self._in_question = self._in_question, {}
        takes_lists = self._lists.are_taken(now)
        for ids, is_besides in ((besides if takes_lists else (), True), (call_ids, False)):
            for call_id in ids:
                self._in_question[call_id] = question = known.get(call_id) or _Question(now)
                question.besides = is_besides
        in_turn = self._next(self._lists.most if takes_lists else ONE_BY_ONE)
        if in_turn:
            self._budget.begin(now)
            together = takes_lists and len(in_turn) > 1
            self._round = begin(self._ask_all(in_turn, together), "callguard asking")

    def came(self, call_id: str, news: News) -> None:
        """Note evidence that came unasked: the more of it there is, the rarer rounds become."""
        self._unasked.came(call_id, news)

    def back_off(self, error: CallGuardError) -> None:
        """Note that a reading failed: readings go first."""
        self._budget.fail(self._time(), error)

    async def aclose(self) -> None:
        """Cancel the running round, and wait until it has ended."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait([self._round])

    async def _ask_all(self, call_ids: Sequence[str], together: bool) -> None:
        """One round."""
        try:
            if together:
                await self._ask_together(call_ids)
            else:
                for call_id in call_ids:
                    await self._ask_about(call_id)
        except CallGuardError as error:
            self._budget.fail(self._time(), error)
        except BaseException as error:
            if ends_us(error):
                raise
            self._budget.fail(self._time(), error)
            log_failure(f"{named(self._questions)} failed", error)
        else:
            self._budget.succeed()

    def _next(self, most: int) -> list[str]:
        """The calls to ask about next, at most so many: those not asked about for longest."""
        recently = self._time() - BESIDES_AGAIN
        due = [
            (question.besides, question.asked, call_id)
            for call_id, question in self._in_question.items()
            if not (question.besides and question.asked > recently)
        ]
        due.sort(key=lambda each: each[:2])
        return [call_id for _, _, call_id in due[:most]]

    async def _ask_together(self, call_ids: Sequence[str]) -> None:
        now = self._time()
        try:
            states = await self._questions.ask_all(call_ids)
        except LimitsRejected:
            self._lists.refuse(now)
            return
        except LimitsMalformed:
            self._lists.note_malformed(now)
            raise
        for call_id in call_ids:
            self._in_question[call_id].asked = now
            if call_id in states:
                self._lists.note_use()
                self._hear(call_id, states[call_id], now)
        await self._ask_about_missing([each for each in call_ids if each not in states])

    async def _ask_about_missing(self, call_ids: Sequence[str]) -> None:
        """Ask about one call that a list should have shown, because calls don't ring so long.

        Either it rings longer than was said, or nobody knows it, or the list is of no use.
        """
        now = self._time()
        for call_id in call_ids:
            question = self._in_question[call_id]
            if now - question.since > self._ring_limit:
                question.since = now  # so that others have their turn
                with suppress(LimitsRejected):
                    state = await self._ask_about(call_id)
                    if state is not None and (state.over or state.answered):
                        self._lists.note_useless(now)
                break

    async def _ask_about(self, call_id: str) -> CallState | None:
        """Ask about one call; None if the provider doesn't know it, which is no fault of its."""
        self._in_question[call_id].asked = now = self._time()
        try:
            state = await self._questions.ask(call_id)
        except LimitsRejected as error:
            if error.status in NOT_KNOWN:
                return None
            raise
        self._hear(call_id, state, now)
        return state

    def _hear(self, call_id: str, state: CallState, asked: float) -> None:
        """Report what is new about a call that was asked about at `asked`."""
        question = self._in_question[call_id]
        if state.over:
            if question.reported != "ended":
                question.reported = "ended"
                self._unasked.found(call_id, "ended", asked)
                self._told.note_ended(call_id, refused=state.refused, at=state.ended_at, asked=True)
        elif state.answered:
            if not question.reported:
                question.reported = "answered"
                self._unasked.found(call_id, "answered", asked)
                self._told.note_answered(call_id, state.answered_at, asked=True)
        elif state.ringing:
            self._told.note_ringing(call_id, asked)
