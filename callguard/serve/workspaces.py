"""The open gates: one for each API key, opened at first use and closed when idle."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import web

from callguard.clock import loop_time
from callguard.errors import CallGuardError, GateDraining
from callguard.gate import Gate, connect
from callguard.ledger import RedisLedger, workspace_hash
from callguard.serve.batches import BatchForwarded
from callguard.serve.happenings import Happenings
from callguard.serve.journal import Journal
from callguard.serve.permits import Permits
from callguard.serve.problems import AGAIN_IN, Problem
from callguard.serve.scrape import Scrape
from callguard.serve.settings import ServeSettings, WorkspaceSettings
from callguard.serve.shared import LedgerLook, shared_overview
from callguard.serve.views import Overview
from callguard.tasks import end

__all__ = ["WORKSPACES", "Workspace", "Workspaces"]

logger = logging.getLogger("callguard")


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """One workspace whose gate is open.

    Attributes:
        id: the hash of its key, which others may read.
        gate: the gate in front of its calls.
        settings: how the gate was opened.
        journal: what an operator wants to know of it.
        permits: the permits that clients hold over HTTP.
        happenings: the latest events.
        key: its key, by which the provider signs webhooks.
        look: looks at the gate's shared ledger, for `overview`; None for a ledger in memory.
    """

    id: str
    gate: Gate
    settings: WorkspaceSettings
    journal: Journal
    permits: Permits
    happenings: Happenings
    key: str = field(repr=False)
    look: LedgerLook | None = None

    async def overview(self) -> Overview:
        """What goes on in the workspace, at all processes on its ledger."""
        return await shared_overview(self.gate, self.journal, self.look)

    async def aclose(self) -> None:
        """Close the gate; whoever waits or follows its events is told."""
        self.happenings.end()
        async with AsyncExitStack() as closing:  # each is closed, whatever the others raise
            if self.look is not None:
                closing.push_async_callback(self.look.aclose)
            closing.push_async_callback(self.gate.aclose)
            closing.push_async_callback(self.permits.aclose)


@dataclass(slots=True, eq=False)
class _Entry:
    """A workspace that is open or being opened.

    Attributes:
        opening: opens it; its result is the workspace.
        users: how many use it now.
        idle_since: when the last user left, in seconds on the event loop's clock.
        was_read: whether its limits are known to have been read.
    """

    opening: asyncio.Task[Workspace]
    users: int = 0
    idle_since: float = 0.0
    was_read: bool = False

    @property
    def workspace(self) -> Workspace | None:
        """The workspace, if it is open."""
        task = self.opening
        if not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()


class Workspaces:
    """The workspaces of one server, found by key or by id.

    A gate is closed `ServeSettings.idle` seconds after its last use, or later while something would
    end with it, such as a pause. That is no less than the time after which the count shows every
    call that was placed, so the next gate's first snapshot misses none. A gate without any snapshot
    is closed as soon as nobody uses it.

    Args:
        settings: the server's settings.

    Attributes:
        scrape: the metrics of all gates.
        draining: whether no more gates are opened, because the server stops.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._entries: dict[str, _Entry] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.scrape: Final = Scrape()
        self.draining = False

    def find(self, workspace_id: str) -> Workspace | None:
        """The workspace with this id, if its gate is open."""
        entry = self._entries.get(workspace_id)
        return None if entry is None else entry.workspace

    def open(self) -> tuple[Workspace, ...]:
        """The workspaces whose gates are open."""
        found = (entry.workspace for entry in self._entries.values())
        return tuple(workspace for workspace in found if workspace is not None)

    @asynccontextmanager
    async def use(self, key: str) -> AsyncIterator[Workspace]:
        """Use the workspace of `key`, whose gate stays open during the block.

        All that come while it is being opened share one opening. Cancelling this leaves the
        opening to the others.

        Raises:
            LimitsRejected: the provider refused the key; nothing was kept of it.
            CallGuardError: the gate can't be opened.
            Problem: too many gates are open, or the server stops.
        """
        workspace_id = workspace_hash(key)
        entry = self._entries.get(workspace_id) or self._enter(workspace_id, key)
        del key  # so that no traceback shows it
        entry.users += 1
        try:
            await asyncio.wait([entry.opening])
            yield self._opened(entry)
        finally:
            self._leave(entry)

    @asynccontextmanager
    async def use_open(self, workspace_id: str) -> AsyncIterator[Workspace]:
        """Use a workspace whose gate is open; it stays open during the block.

        Raises:
            Problem: no gate of such a workspace is open.
        """
        entry = self._entries.get(workspace_id)
        if entry is None or entry.workspace is None:
            raise Problem(404, "no workspace with this id is open here", kind="no-such-workspace")
        entry.users += 1
        try:
            yield self._opened(entry)
        finally:
            self._leave(entry)

    def note_batch(self, key: str) -> None:
        """Tell those who watch the workspace of `key` of a batch, if its gate is open."""
        workspace = self.find(workspace_hash(key))
        if workspace is not None:
            event = BatchForwarded(gate=workspace.gate.id, workspace=workspace.id)
            workspace.journal(event)
            workspace.happenings(event)

    async def drain(self) -> None:
        """Admit nobody any more, and wait until the count shows every call; see `Gate.drain`.

        Gates that are being opened are not. Cancelling this leaves the gates draining.
        """
        self.draining = True
        drains = [workspace.gate.drain() for workspace in self.open()]
        openings = [entry.opening for entry in self._entries.values() if not entry.opening.done()]
        # One may be closed meanwhile.
        await asyncio.gather(end(openings), *drains, return_exceptions=True)

    def end_streams(self) -> None:
        """End the streams of events, which would hold up the end of the server."""
        for workspace in self.open():
            workspace.happenings.end()

    async def aclose(self) -> None:
        """Close every gate. Live calls are not touched."""
        self.draining = True
        if self._timer is not None:
            self._timer.cancel()
        entries, self._entries = self._entries, {}
        try:
            await end(entry.opening for entry in entries.values())
            found = [entry.workspace for entry in entries.values()]
            await asyncio.gather(*(self._closed(each) for each in found if each is not None))
            if self._closing:
                await asyncio.wait(self._closing)
        finally:
            if self._session is not None:
                await self._session.close()

    def _enter(self, workspace_id: str, key: str) -> _Entry:
        if self.draining:
            raise Problem(
                503,
                "this server stops, and opens no more workspaces; come back to the next one",
                kind="draining",
                retry_after=AGAIN_IN,
            )
        most = self._settings.bounds.max_workspaces
        if len(self._entries) >= most:
            raise Problem(
                503,
                f"{most} workspaces are open here, and no more may be; come back later",
                kind="too-many-workspaces",
                retry_after=AGAIN_IN,
            )
        entry = _Entry(asyncio.create_task(self._open(workspace_id, key)))
        self._entries[workspace_id] = entry
        entry.opening.add_done_callback(lambda _: self._settled(workspace_id, entry))
        return entry

    async def _open(self, workspace_id: str, key: str) -> Workspace:
        settings = self._settings.of(workspace_id)
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        journal, happenings = Journal(), Happenings()
        gate = await connect(
            key,
            base_url=self._settings.provider_url,
            session=self._session,
            lanes=settings.lanes,
            trunks=settings.trunks,
            cps=settings.cps,
            ledger=settings.ledger,
            listener=[journal, happenings, *self.scrape.listeners],
            allow_plain_http=self._settings.allow_plain_http,
            **settings.options,
        )
        if self.draining:  # the drain began too late to cancel this
            await gate.aclose()
            raise GateDraining("the server stops, and opens no more gates")
        logger.info("workspace %s: its gate is open", workspace_id)
        permits = Permits(
            gate,
            most_waiting=self._settings.bounds.max_waiters,
            renew_within=self._settings.renew_within,
        )
        address = settings.ledger
        look = None if address is None else LedgerLook(RedisLedger.from_url(address), key)
        return Workspace(workspace_id, gate, settings, journal, permits, happenings, key, look)

    def _settled(self, workspace_id: str, entry: _Entry) -> None:
        """Forget an opening that failed, or the gate if all who wanted it have left meanwhile."""
        if entry.workspace is not None:
            self._close_unread(entry)
        elif self._entries.get(workspace_id) is entry:
            del self._entries[workspace_id]
            self.scrape.forget_unread(workspace_id)

    @staticmethod
    def _opened(entry: _Entry) -> Workspace:
        task = entry.opening
        if task.cancelled():
            raise Problem(503, "this server stops", kind="draining", retry_after=AGAIN_IN)
        error = task.exception()
        if isinstance(error, CallGuardError):
            raise copy.copy(error)  # each gets its own, because raising adds to its traceback
        return task.result()

    # Closing ------------------------------------------------------------------------------------

    def _leave(self, entry: _Entry) -> None:
        entry.users -= 1
        if not entry.users:
            entry.idle_since = loop_time()
            self._close_unread(entry)
            self._set_timer()

    def _close_unread(self, entry: _Entry) -> None:
        """Close a gate that nobody uses, and that never had a snapshot.

        It knows nothing that the next one would not, and its key may be made up. The server's own
        key is not, and its gate shows the outage.
        """
        workspace = entry.workspace
        if workspace is None or entry.users or self._entries.get(workspace.id) is not entry:
            return
        entry.was_read = entry.was_read or workspace.gate.statistics().limits is not None
        is_own = workspace.key == self._settings.api_key
        if not (entry.was_read or is_own or _is_kept(workspace)):
            self._close(workspace, "its limits were never read")

    def _close(self, workspace: Workspace, why: str) -> None:
        del self._entries[workspace.id]
        closing = asyncio.create_task(self._closed(workspace))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        logger.info("workspace %s: its gate is closed, because %s", workspace.id, why)

    async def _closed(self, workspace: Workspace) -> None:
        try:
            await workspace.aclose()
        except Exception as error:  # noqa: BLE001 - the others are to be closed as well
            # Only the kind of error: the key may be in the traceback.
            logger.error(  # noqa: TRY400
                "workspace %s: closing its gate failed: %s", workspace.id, type(error).__name__
            )
        self.scrape.forget_unread(workspace.id)

    def _set_timer(self) -> None:
        if self._timer is None and not self.draining and self._entries:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.idle, self._close_idle)

    def _close_idle(self) -> None:
        self._timer = None
        latest = loop_time() - self._settings.idle
        idle = [entry for entry in self._entries.values() if not entry.users]
        for entry in idle:
            workspace = entry.workspace
            if workspace is None or entry.idle_since > latest or _is_kept(workspace):
                continue
            self._close(workspace, "it was idle")
        if any(not entry.users for entry in self._entries.values()):
            self._set_timer()


def _is_kept(workspace: Workspace) -> bool:
    """Whether something would end with the gate: a permit, a pause, a drain, or what was learnt.

    Or its calls on a trunk that takes only so many, which the count doesn't show. A shared ledger
    keeps these.
    """
    statistics = workspace.gate.statistics()
    kept = statistics.pauses or statistics.given_up or _drains(workspace.gate)
    on_trunk = workspace.look is None and any(on.calls for on in statistics.on_trunk.values())
    return workspace.permits.open or on_trunk or bool(kept)


def _drains(gate: Gate) -> bool:
    """Whether an operator has drained the gate."""
    try:
        gate.explain()
    except GateDraining:
        return True
    except CallGuardError:  # it has no default lane
        return False
    return False


WORKSPACES: Final = web.AppKey("workspaces", Workspaces)
"""Where the application keeps its workspaces."""
