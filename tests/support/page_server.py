"""The page over a loopback socket, in front of overviews made by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import web

from callguard.decision import Pause
from callguard.serve.page.routes import Pages
from callguard.serve.page.settings import PageSettings
from callguard.serve.page.trouble import Trouble
from callguard.serve.views import Overview
from tests.support.overviews import NOW, busy

__all__ = ["OnShow", "Showcase", "serving"]


@dataclass(eq=False)
class OnShow:
    """A workspace that shows what a test says; orders change it as those of a gate would."""

    shown: Overview
    looked: int = 0
    orders: list[tuple[object, ...]] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def id(self) -> str:
        return self.shown.workspace

    async def overview(self) -> Overview:
        self.looked += 1
        if self.failure is not None:
            raise self.failure
        return self.shown

    def pause(self, lane: str | None, trunk: str | None, reason: str) -> None:
        self.orders.append(("pause", lane, trunk, reason))
        pauses = (*self.shown.pauses, Pause(lane, trunk, "dialer-1 (process 4711)", 0.0, reason))
        self.shown = replace(self.shown, pauses=pauses)

    def resume(self, lane: str | None, trunk: str | None) -> None:
        self.orders.append(("resume", lane, trunk))
        kept = (p for p in self.shown.pauses if (p.lane, p.trunk) != (lane, trunk))
        self.shown = replace(self.shown, pauses=tuple(kept))

    def drain(self) -> None:
        self.orders.append(("drain",))
        self.shown = replace(self.shown, draining=True)


class Showcase:
    """Workspaces on show; the first is the default one."""

    def __init__(self, *shown: OnShow) -> None:
        self.shown = {each.id: each for each in shown}
        self.in_use = 0

    def open(self) -> tuple[str, ...]:
        return tuple(self.shown)

    @asynccontextmanager
    async def use(self, workspace: str | None) -> AsyncIterator[OnShow]:
        name = next(iter(self.shown), "") if workspace is None else workspace
        if name not in self.shown:
            raise Trouble(404, "No such workspace", "no workspace with this id is open here")
        self.in_use += 1
        try:
            yield self.shown[name]
        finally:
            self.in_use -= 1


@asynccontextmanager
async def serving(
    shown: OnShow | Showcase | None = None,
    settings: PageSettings | None = None,
    now: Callable[[], float] = lambda: NOW,
    port: int = 0,
) -> AsyncIterator[str]:
    """The address of the page meanwhile."""
    shown = OnShow(busy()) if shown is None else shown
    desk = Showcase(shown) if isinstance(shown, OnShow) else shown
    pages = Pages(desk, settings or PageSettings(), now)
    app = web.Application()
    app.add_routes(pages.routes())
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await pages.aclose()
        await runner.cleanup()
