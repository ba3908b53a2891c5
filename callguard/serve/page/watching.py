"""One rendering a second for all who look at a workspace, however many they are, and none for none.

Each watcher gets the parts that changed since what it got before. One that is slow misses
renderings in between, and holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from callguard.clock import loop_time
from callguard.errors import CallGuardError
from callguard.serve.page.desk import Watched
from callguard.serve.page.rendering import Renderer
from callguard.serve.page.words import unticked
from callguard.serve.views import Overview

__all__ = ["EVERY", "Watching"]

logger = logging.getLogger("callguard")

EVERY: Final = 1.0
"""Seconds between two renderings."""

_QUIET: Final = 5
"""Renderings without a change after which watchers are told that all is well."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rendering:
    """What a workspace looked like.

    Attributes:
        made: when, in seconds on the event loop's clock.
        overview: what was rendered.
        parts: its parts in HTML.
    """

    made: float
    overview: Overview
    parts: Mapping[str, str]


class Watching:
    """The renderings of one workspace.

    Attributes:
        watched: the workspace.
        is_over: whether there are no more updates, because the gate or the server closes.

    Args:
        watched: the workspace.
        renderer: renders it.
        run: the name of this run of the server.
    """

    def __init__(self, watched: Watched, renderer: Renderer, run: str) -> None:
        self.watched = watched
        self._renderer = renderer
        self._run = run
        self._rendering = asyncio.Lock()
        self._latest: _Rendering | None = None
        self._told: _Rendering | None = None
        self._versions: dict[str, tuple[int, str]] = {}
        self._version = 0
        self._news = asyncio.Event()
        self._messages: dict[int, bytes] = {}
        self._changed = asyncio.Event()
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None
        self.is_over = False

    @property
    def is_watched(self) -> bool:
        """Whether somebody gets updates."""
        return self._watchers > 0

    async def latest(self) -> _Rendering:
        """The overview and its parts, not older than a second.

        Raises:
            CallGuardError: the gate is closed.
        """
        async with self._rendering:
            now = loop_time()
            if self._latest is None or now - self._latest.made >= EVERY * 0.99:
                overview = await self.watched.overview()
                self._latest = _Rendering(now, overview, self._renderer.parts(overview))
            return self._latest

    def look_again(self) -> None:
        """Render anew at once, because an order has changed something."""
        self._latest = None
        self._changed.set()

    async def updates(self) -> AsyncGenerator[bytes]:
        """Server-sent events: all parts, and then those that changed; ends when the gate closes."""
        self._watchers += 1
        if self._task is None:
            self._versions, self._version = {}, 0  # what was told long ago is told to nobody now
            self._task = asyncio.create_task(self._go_on())
        seen = 0
        try:
            while not self.is_over:
                if self._version > seen:
                    message, seen = self._message(seen), self._version
                    yield message
                else:
                    await self._news.wait()
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._task.cancel()
                self._task = None

    async def _go_on(self) -> None:
        """Render every second, while somebody watches."""
        quiet = 0
        try:
            while True:
                rendering = await self.latest()
                quiet = 0 if self._note(rendering.parts) else quiet + 1
                if quiet % _QUIET == 0:
                    self._tell(rendering)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await self._changed.wait()
                self._changed.clear()
        except Exception as error:  # noqa: BLE001 (whatever it is, nobody may wait for ever)
            if not isinstance(error, CallGuardError):
                # Without a traceback, which has what the page shows.
                logger.error(  # noqa: TRY400
                    "the page can't be rendered: %s", type(error).__name__
                )
            self.is_over = True
            self._wake()

    def _note(self, parts: Mapping[str, str]) -> bool:
        """Note the next version of each part that changed; return whether one did."""
        changed = False
        for name, html in parts.items():
            plain = unticked(html)
            if name not in self._versions or self._versions[name][1] != plain:
                self._versions[name] = (self._version + 1, plain)
                changed = True
        return changed

    def _tell(self, rendering: _Rendering) -> None:
        self._told = rendering
        self._version += 1
        self._messages.clear()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _message(self, seen: int) -> bytes:
        """What changed since the version `seen`, encoded once for all who have seen that."""
        message = self._messages.get(seen)
        if message is None and self._told is not None:
            changed = {
                name: html
                for name, html in self._told.parts.items()
                if self._versions[name][0] > seen
            }
            said = {"run": self._run, "now": round(self._told.overview.at, 3), "parts": changed}
            message = b"data: " + json.dumps(said).encode() + b"\n\n"
            self._messages[seen] = message
        return message or b""

    async def aclose(self) -> None:
        """End the updates."""
        self.is_over = True
        self._wake()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
