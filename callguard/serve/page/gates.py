"""The desk of a real server: workspaces whose gates are open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from callguard.errors import CallGuardError
from callguard.fetcher.settings import is_loopback
from callguard.ledger import workspace_hash
from callguard.serve.page.routes import Pages
from callguard.serve.page.settings import PageSettings
from callguard.serve.page.trouble import Trouble
from callguard.serve.problems import Problem
from callguard.serve.settings import ServeSettings
from callguard.serve.views import Overview
from callguard.serve.workspaces import Workspace, Workspaces

__all__ = ["PAGES", "Gates", "pages"]

PAGES: Final = web.AppKey("pages", Pages)
"""Where the application keeps its pages."""

_draining: Final[set[asyncio.Task[None]]] = set()


def pages(settings: ServeSettings, workspaces: Workspaces) -> Pages:
    """The pages of a server."""
    open_to_machine = settings.token is None and is_loopback(settings.host)
    return Pages(
        Gates(workspaces, settings.api_key),
        PageSettings(
            host=settings.host if open_to_machine else None,
            token=settings.token,
            read_only=settings.read_only,
            body_seconds=settings.bounds.body_seconds,
        ),
    )


@dataclass(frozen=True, slots=True)
class _OpenGate:
    """A workspace as the page sees it."""

    workspace: Workspace

    @property
    def id(self) -> str:
        return self.workspace.id

    async def overview(self) -> Overview:
        return await self.workspace.overview()

    def pause(self, lane: str | None, trunk: str | None, reason: str) -> None:
        self.workspace.gate.pause(lane, trunk, reason=reason)

    def resume(self, lane: str | None, trunk: str | None) -> None:
        self.workspace.gate.resume(lane, trunk)

    def drain(self) -> None:
        task = asyncio.create_task(self._drain())
        _draining.add(task)
        task.add_done_callback(_draining.discard)

    async def _drain(self) -> None:
        with contextlib.suppress(CallGuardError):  # the gate was closed meanwhile
            await self.workspace.gate.drain()


class Gates:
    """The open workspaces of a server.

    Args:
        workspaces: the workspaces.
        api_key: the key of the default one; None if there is none.
    """

    def __init__(self, workspaces: Workspaces, api_key: str | None) -> None:
        self._workspaces = workspaces
        self._api_key = api_key

    def open(self) -> tuple[str, ...]:
        """The ids of the workspaces whose gates are open."""
        return tuple(workspace.id for workspace in self._workspaces.open())

    @asynccontextmanager
    async def use(self, workspace: str | None) -> AsyncIterator[_OpenGate]:
        """Look at a workspace, which stays open meanwhile; see `Desk.use`."""
        key = self._api_key
        if workspace is None and key is None:
            raise Trouble(
                404,
                "No workspace of its own",
                "This server has no key of its own: start it with RETELL_API_KEY, or choose one of "
                "the workspaces that are open.",
            )
        if key is not None and workspace in {None, workspace_hash(key)}:
            using = self._workspaces.use(key)
        else:
            using = self._workspaces.use_open(workspace or "")
        try:
            async with using as opened:
                yield _OpenGate(opened)
        except Problem as problem:
            raise Trouble(problem.status, "It can't be shown", f"{problem.detail}.") from None
