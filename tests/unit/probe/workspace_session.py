"""A simulated workspace where the network would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from multidict import CIMultiDict

from callguard.simulator import Call, CallRefused, Workspace, WorkspaceSettings
from callguard.simulator.bodies import described
from tests.support.fake_network import Reply

if TYPE_CHECKING:
    from aiohttp import ClientSession as _ClientSession
else:
    _ClientSession = object


class WorkspaceSession(_ClientSession):
    """A session whose requests a workspace answers, by the loop's clock.

    Args:
        settings: what the workspace is like.
        clock: its time in seconds; None for that of the loop which runs.
        before, after: seconds from a request to what it does or sees, and from there to its
            answer.
        answers: for a path, what is answered instead to its requests in turn; None for the
            workspace's own answer. What was asked for is done nevertheless.
    """

    def __init__(
        self,
        settings: WorkspaceSettings,
        *,
        clock: Callable[[], float] | None = None,
        before: float = 0.0,
        after: float = 0.0,
        answers: Mapping[str, Sequence[Reply | None]] | None = None,
    ) -> None:
        self.workspace = Workspace(settings, clock or asyncio.get_running_loop().time)
        self.dials: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self._before = before
        self._after = after
        self._answers = {path: list(replies) for path, replies in (answers or {}).items()}

    def get(self, url: str, **options: Any) -> _Exchange:  # type: ignore[override]
        return _Exchange(self, url, {})

    def post(self, url: str, *, data: bytes, **options: Any) -> _Exchange:  # type: ignore[override]
        return _Exchange(self, url, json.loads(data))

    async def answer(self, url: str, sent: dict[str, Any]) -> Reply:
        await asyncio.sleep(self._before)
        path = url.removeprefix("https://api.retellai.com")
        reply = self._do(path, sent)
        queued = self._answers.get(path) or self._answers.get(path.rpartition("/")[0])
        instead = queued.pop(0) if queued else None
        await asyncio.sleep(self._after)
        return instead or reply

    def _do(self, path: str, sent: dict[str, Any]) -> Reply:
        match path.split("/")[1:]:
            case ["get-concurrency"]:
                return Reply.json(self.workspace.concurrency())
            case ["v2", "create-phone-call"]:
                return self._dial(sent)
            case ["v2", "get-call", call_id]:
                call = self.workspace.call(call_id)
                assert call is not None
                return Reply.json(self._described(call))
            case ["v2", "stop-call", call_id]:
                self.stopped.append(call_id)
                self.workspace.stop(call_id)
                return Reply(204)
            case _:
                raise AssertionError(path)

    def _dial(self, sent: dict[str, Any]) -> Reply:
        self.dials.append(sent)
        try:
            return Reply.json(self._described(self.workspace.dial()), 201)
        except CallRefused:
            return Reply.json({"message": "Account rate limited"}, 429)

    def _described(self, call: Call) -> dict[str, object]:
        return described(call, self.workspace.provider_clock)


class _Exchange:
    def __init__(self, session: WorkspaceSession, url: str, sent: dict[str, Any]) -> None:
        self._session = session
        self._url = url
        self._sent = sent

    async def __aenter__(self) -> Self:
        self._reply = await self._session.answer(self._url, self._sent)
        self.status = self._reply.status
        self.headers = CIMultiDict(self._reply.headers)
        self.content = self
        return self

    async def __aexit__(self, *raised: object) -> None:
        pass

    async def iter_chunked(self, size: int) -> Any:
        yield self._reply.body
        if self._reply.fault is not None:
            raise self._reply.fault
