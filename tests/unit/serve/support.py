"""A server of permits, events and orders in front of the simulated provider, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
from aiohttp import web

from callguard import simulator
from callguard.serve.application import application
from callguard.serve.settings import ServeSettings, WorkspaceSettings
from callguard.serve.workspaces import WORKSPACES, Workspace, Workspaces
from tests.unit.serve.described import check

UNRATED: Final = WorkspaceSettings(cps=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its headers, and its JSON or else its text."""

    status: int
    headers: Any
    body: Any


class Client:
    """Asks one server."""

    def __init__(self, url: str, runner: web.AppRunner, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.runner = runner
        self.app = runner.app
        self.session = session

    @property
    def workspaces(self) -> Workspaces:
        return self.app[WORKSPACES]

    @property
    def workspace(self) -> Workspace:
        (workspace,) = self.workspaces.open()
        return workspace

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        if body is not None:
            options["json"] = body
        async with self.session.request(method, self.url + path, **options) as answer:
            is_json = answer.content_type.endswith("json")
            said = await answer.json(content_type=None) if is_json else await answer.text()
            check(method, path, answer.status, answer.content_type, said)
            return Answer(answer.status, answer.headers, said)

    async def permit(self, **fields: Any) -> Answer:
        return await self.ask("POST", "/v1/permits", fields)


@asynccontextmanager
async def asking(
    limit: int = 20, settings: ServeSettings | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A client of a server with these settings; `options` are the simulator's."""
    options.setdefault("cps", None)
    async with simulator.serve(limit=limit, **options) as provider:
        settings = replace(
            settings or ServeSettings(workspace=UNRATED),
            provider_url=provider.url,
            api_key=provider.api_key,
        )
        runner = web.AppRunner(
            application(settings),
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            shutdown_timeout=30.0,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            async with aiohttp.ClientSession() as session:
                yield Client(f"http://127.0.0.1:{site.port}", runner, session)
        finally:
            await runner.cleanup()
