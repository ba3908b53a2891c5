"""The requests that start calls: they wait at the gate, and only then go on to the provider."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from cachetools import TTLCache

from callguard.clock import loop_time
from callguard.errors import AdmissionError, LimitsRejected
from callguard.gate import Permit
from callguard.serve.access import bearer
from callguard.serve.answered import DialAnswer, DialRefused
from callguard.serve.asked import Asked
from callguard.serve.forwarding import Forwarder
from callguard.serve.problems import AGAIN_IN, NOT_AGAIN, Problem, problem_of
from callguard.serve.returning import Away, Returning, name_of
from callguard.serve.settings import ServeSettings
from callguard.serve.workspaces import Workspace, Workspaces

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from callguard.gate.turn import Turn

__all__ = ["STARTER", "Starter"]

_DIAL_SECONDS: Final = 120.0
"""Seconds for one dial: the time-out of create_phone_call in retell-sdk 6.2.13."""

_DIALS_UNDER_ONE_KEY: Final = 3
"""Dials of a call that is refused, if its idempotency key must stay the same: the provider may
repeat its answer to a key, and each refusal stops all others for a moment. Our own choice."""

_KNOWN_FOR: Final = 3600.0
"""Seconds for which a call is known by its id: a repeated key gets the same call for up to an hour
(docs.retellai.com, read 2026-11-22)."""

_MOST_KNOWN: Final = 100_000
"""Calls that are known: more than start in an hour at 20 a second."""

_UNCOMPRESSED: Final = {"Accept-Encoding": "identity"}
"""The answer to a dial has the call's id, by which webhooks and asking tell of its end."""

_NOT_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The faults before which no byte of a request was sent."""


class Starter:
    """Starts the calls of one server, each when its gate admits it.

    Args:
        settings: the server's settings.
        workspaces: the gates.
        forwarder: the way to the provider.
    """

    def __init__(
        self, settings: ServeSettings, workspaces: Workspaces, forwarder: Forwarder
    ) -> None:
        self._most = settings.bounds.max_waiters
        self._workspaces = workspaces
        self._forwarder = forwarder
        self._returning = Returning(settings.back_within)
        self._known: TTLCache[str, None] = TTLCache(_MOST_KNOWN, _KNOWN_FOR, timer=loop_time)
        self._tasks: set[asyncio.Task[web.Response]] = set()

    async def start(self, request: web.Request, path: str) -> web.Response:
        """Wait for a slot, start the call, and pass the provider's answer back.

        Cancelling this, as when the client hangs up, leaves the queue; but a dial that has begun
        is finished, and its call counts as placed.

        Args:
            request: the client's request.
            path: its path, as `start_path` gives it.

        Raises:
            Problem: the call can't be started now, or the request can't be what it says.
            CallGuardError: as in `Gate.place`.
        """
        asked = await Asked.of(request, path)
        if len(self._tasks) >= self._most:
            raise Problem(
                503,
                f"{self._most} calls wait at this server, and no more may",
                kind="too-many-waiting",
                retry_after=AGAIN_IN,
            )
        start = _Start(
            request, asked, self._workspaces, self._forwarder, self._returning, self._known
        )
        task = asyncio.create_task(start.run())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            start.abandon(task)
            raise

    async def aclose(self) -> None:
        """Wait for the dials that have begun; nobody waits in a queue any more.

        Cancelling this leaves them to go on.
        """
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[web.Response]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the client that would have got it may have hung up


class _Start:
    """One request on its way to its call."""

    def __init__(
        self,
        request: web.Request,
        asked: Asked,
        workspaces: Workspaces,
        forwarder: Forwarder,
        returning: Returning,
        known: MutableMapping[str, None],
    ) -> None:
        self._request = request
        self._asked = asked
        self._workspaces = workspaces
        self._forwarder = forwarder
        self._returning = returning
        self._known = known
        self._until = loop_time() + asked.wait
        self._is_dialling = False
        self._is_abandoned = False
        self._dials = 0
        self._key: str | None = None
        self._name: bytes | None = None
        self._away: Away | None = None
        self._is_kept = False

    def abandon(self, task: asyncio.Task[web.Response]) -> None:
        """Go no further than the dial that has begun, because the client hung up."""
        self._is_abandoned = True
        self._keep()
        if not self._is_dialling:
            task.cancel()

    async def run(self) -> web.Response:
        key = bearer(self._request)
        try:
            if key is None:
                return await self._refused_key()
            async with self._workspaces.use(key) as workspace:
                return await self._through(workspace)
        except LimitsRejected:
            return await self._refused_key()

    async def _through(self, workspace: Workspace) -> web.Response:
        """Start the call through the gate of its workspace."""
        asked, settings = self._asked, workspace.settings
        lane, trunk = asked.lane_among(settings), asked.trunk_among(settings)
        self._name = name_of(workspace, lane, trunk, asked)
        back = self._returning.take(self._name)
        turn = back.turn if back else workspace.gate.turn(lane, trunk=trunk)
        self._key = back.key if back else None
        self._away = Away(turn)
        try:
            placed = await turn.place(
                self._dial, timeout=max(0.0, self._until - loop_time()), attempts=self._stops
            )
        except DialRefused as refused:
            self._keep()
            return self._passed_on(refused.answer)
        except AdmissionError as error:
            self._keep()
            raise _told_to_come_back(error, turn) from None
        except BaseException:
            self._keep()
            raise
        if self._is_abandoned:
            self._keep()
        return placed.response()

    def _keep(self) -> None:
        """Keep what the call needs to go on if its client sends the request again.

        Whoever comes back first takes it; after that, only what it has taken counts.
        """
        if self._away is None:
            return
        self._away.key = self._key if self._asked.takes_key else None
        if not self._is_kept:
            self._is_kept = True
            self._returning.keep(self._name, self._away)

    async def _dial(self, permit: Permit) -> DialAnswer:
        """Dial under one key until it is certain that no call was placed under that."""
        is_new_key = self._key is None
        self._key = self._key or permit.id
        self._is_dialling = True
        self._dials += 1
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                answer = await self._sent(self._asked.body_with(self._key))
        except _NOT_CONNECTED as error:
            permit.cancel()
            if is_new_key:
                self._key = None
            raise Problem(
                502,
                f"the provider can't be reached ({type(error).__name__}); no call was placed",
                kind="not-placed",
                retry_after=AGAIN_IN,
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _in_doubt(error, is_safe_again=self._has_own_key) from None
        finally:
            self._is_dialling = False
        if answer.is_ok:
            return self._placed(answer, permit)
        if is_new_key and not answer.is_in_doubt:
            self._key = None
        raise DialRefused(answer, self._forwarder.address(self._asked.path))

    def _placed(self, answer: DialAnswer, permit: Permit) -> DialAnswer:
        """Report a call that was placed, unless it is one that counts already."""
        if not answer.placed:
            self._key = None  # the call that was placed under it is over
        elif answer.call_id in self._known:
            permit.cancel()
            return replace(answer, call_id=None)
        elif answer.call_id is not None:
            self._known[answer.call_id] = None
        return answer

    async def _sent(self, body: bytes) -> DialAnswer:
        async with self._forwarder.sent(self._request, body, _UNCOMPRESSED) as answer:
            return DialAnswer.of(answer, await answer.read())

    def _passed_on(self, answer: DialAnswer) -> web.Response:
        """The provider's answer to a dial that placed no call, or may have."""
        response = answer.response()
        may_be_placed = answer.is_in_doubt or self._key is not None
        if may_be_placed and not self._has_own_key:
            response.headers.update(NOT_AGAIN)
        return response

    @property
    def _has_own_key(self) -> bool:
        return self._asked.idempotency_key is not None

    def _stops(self, attempt: RetryCallState) -> bool:  # noqa: ARG002 - tenacity passes it
        """Whether a call that was refused is not to be dialled again."""
        is_one_key = self._has_own_key or self._key is not None
        is_over = self._is_abandoned or loop_time() >= self._until
        return is_over or (is_one_key and self._dials >= _DIALS_UNDER_ONE_KEY)

    async def _refused_key(self) -> web.Response:
        """The provider's own answer to a key that it refuses."""
        authorization = self._request.headers.get("Authorization")
        status, kind, body = await self._forwarder.ask_limits(authorization)
        if not 400 <= status < 500:
            raise Problem(
                503, "the provider refused the key, but not any more", retry_after=AGAIN_IN
            )
        return web.Response(status=status, body=body, content_type=kind)


def _told_to_come_back(error: AdmissionError, turn: Turn) -> Problem:
    problem = problem_of(error)
    problem.numbers["waiting"] = turn.waiting
    return problem


def _in_doubt(error: BaseException, *, is_safe_again: bool) -> Problem:
    problem = Problem(
        504 if isinstance(error, TimeoutError) else 502,
        f"the provider gave no answer to the dial ({type(error).__name__}): the call may have been "
        "placed, and counts so. A request with the same idempotency_key can be sent again safely",
        kind="in-doubt",
        retry_after=AGAIN_IN,
    )
    problem.is_safe_again = is_safe_again
    return problem


STARTER: Final = web.AppKey("starter", Starter)
"""Where the application keeps what starts its calls."""
