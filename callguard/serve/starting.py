"""The requests that start calls: they wait at the gate, and only then go on to the provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web

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
        start = _Start(request, asked, self._workspaces, self._forwarder, self._returning)
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
    ) -> None:
        self._request = request
        self._asked = asked
        self._workspaces = workspaces
        self._forwarder = forwarder
        self._returning = returning
        self._is_dialling = False
        self._is_abandoned = False
        self._dials = 0
        self._name: bytes | None = None
        self._turn: Turn | None = None
        self._key: str | None = None

    def abandon(self, task: asyncio.Task[web.Response]) -> None:
        """Go no further than the dial that has begun, because the client hung up."""
        self._is_abandoned = True
        if self._is_dialling:
            self._keep()
        else:
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
        self._turn = turn = back.turn if back else workspace.gate.turn(lane, trunk=trunk)
        self._key = back.key if back else None
        try:
            placed = await turn.place(self._dial, timeout=asked.wait, attempts=self._stops)
        except DialRefused as refused:
            return self._passed_on(refused.answer)
        except AdmissionError as error:
            self._keep()
            raise _told_to_come_back(error, turn) from None
        except asyncio.CancelledError:
            self._keep()
            raise
        return placed.response()

    def _keep(self) -> None:
        """Keep what the call needs to go on if its client sends the request again."""
        if self._turn is not None:
            key = self._key if self._asked.takes_key else None
            self._returning.keep(self._name, Away(self._turn, key))

    async def _dial(self, permit: Permit) -> DialAnswer:
        is_new_key = self._key is None
        self._key = self._key or permit.id
        self._is_dialling = True
        self._dials += 1
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                answer = await self._sent(self._asked.body_with(self._key))
        except _NOT_CONNECTED as error:
            permit.cancel()
            self._forget(is_new_key)
            self._keep()
            raise Problem(
                502,
                f"the provider can't be reached ({type(error).__name__}); no call was placed",
                kind="not-placed",
                retry_after=AGAIN_IN,
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._keep()
            raise _in_doubt(error, is_safe_again=self._has_own_key) from None
        finally:
            self._is_dialling = False
        if not (answer.placed or answer.is_in_doubt):
            self._forget(is_new_key)
        if not answer.is_ok:
            raise DialRefused(answer, self._forwarder.address(self._asked.path))
        return answer

    def _forget(self, is_new_key: bool) -> None:
        """Forget the key of a dial that placed no call, unless an earlier one may have."""
        if is_new_key:
            self._key = None

    async def _sent(self, body: bytes) -> DialAnswer:
        async with self._forwarder.sent(self._request, body, _UNCOMPRESSED) as answer:
            return DialAnswer.of(answer, await answer.read())

    def _passed_on(self, answer: DialAnswer) -> web.Response:
        """The provider's answer to a dial that placed no call, or may have."""
        response = answer.response()
        if answer.is_in_doubt or self._is_abandoned:
            self._keep()
        if answer.is_in_doubt and not self._has_own_key:
            response.headers.update(NOT_AGAIN)
        return response

    @property
    def _has_own_key(self) -> bool:
        return self._asked.idempotency_key is not None

    def _stops(self, attempt: RetryCallState) -> bool:  # noqa: ARG002 - tenacity passes it
        """Whether a call that was refused is not to be dialled again."""
        is_one_key = self._has_own_key or self._key is not None
        return self._is_abandoned or (is_one_key and self._dials >= _DIALS_UNDER_ONE_KEY)

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
