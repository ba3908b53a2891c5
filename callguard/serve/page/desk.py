"""What the page needs from the server: workspaces to look at, and their controls."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from callguard.serve.views import Overview

__all__ = ["Desk", "Watched"]


class Watched(Protocol):
    """A workspace that is looked at, and whose gate is open meanwhile."""

    @property
    def id(self) -> str:
        """The hash that names the workspace."""

    async def overview(self) -> Overview:
        """What goes on now."""

    def pause(self, lane: str | None, trunk: str | None, reason: str) -> None:
        """Pause a lane, a trunk, or everything; see `Gate.pause`."""

    def resume(self, lane: str | None, trunk: str | None) -> None:
        """Lift a pause; see `Gate.resume`."""

    def drain(self) -> None:
        """Begin to drain; see `Gate.drain`."""


class Desk(Protocol):
    """The workspaces of a server."""

    def open(self) -> tuple[str, ...]:
        """The ids of the workspaces whose gates are open."""

    def use(self, workspace: str | None) -> AbstractAsyncContextManager[Watched]:
        """Look at a workspace during the block.

        Args:
            workspace: its id; None for that of the server's own key.

        Raises:
            Trouble: no such workspace is open, or the server has no key of its own.
            CallGuardError: its gate can't be opened.
        """
