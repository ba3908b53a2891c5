"""A simulated workspace on a clock that jumps, and the event loop to run a dialer in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from callguard.simulator import Server, Truth, Workspace, WorkspaceSettings, serve
from callguard.testing.virtual_time import VirtualTimeLoop

__all__ = ["VirtualWorkspace"]

T = TypeVar("T")


class VirtualWorkspace:
    """A simulated workspace in which hours pass in no time, for the length of a ``with`` block.

    ::

        with VirtualWorkspace(limit=5, numbers={"+12137774445": BUSY}) as workspace:
            workspace.run(campaign(workspace.url, workspace.api_key))
            assert workspace.truth().refusals == 0

    The dialer needs no change: it talks HTTP, with any client, to a server that runs in the same
    event loop, and so on the same clock.

    Args:
        settings: the settings of the workspace; None for the defaults.
        options: arguments of `callguard.simulator.serve`, and fields of `WorkspaceSettings`, which
            override those of `settings`.

    Attributes:
        server: the running server, from the block's beginning on.

    Raises:
        TypeError: an option is unknown; raised when the block begins.
        ValueError: an option can't be right; raised when the block begins.
    """

    server: Server

    def __init__(self, settings: WorkspaceSettings | None = None, **options: Any) -> None:
        options.setdefault("epoch", 0.0)  # virtual dates, or no run would repeat another
        self._serving = serve(settings, **options)
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        try:
            self.server = self._runner.run(self._stack.enter_async_context(self._serving))
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.close()

    @property
    def url(self) -> str:
        """The provider's address, for the gate and for the dialer."""
        return self.server.url

    @property
    def api_key(self) -> str:
        """The key that the workspace accepts."""
        return self.server.api_key

    @property
    def workspace(self) -> Workspace:
        """The model behind the server, for its calls and for changing its limits."""
        return self.server.workspace

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a dialer to its end, as `asyncio.run` would, on the workspace's clock.

        Raises:
            RuntimeError: the dialer waits for an event that never comes.
        """
        return self._runner.run(main)

    def truth(self) -> Truth:
        """The true totals since the start."""
        return self.workspace.truth()
