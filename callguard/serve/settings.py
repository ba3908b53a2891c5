"""The settings of ``callguard serve``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from callguard.fetcher.settings import PRODUCTION_URL
from callguard.lanes import Lane
from callguard.trunks import Trunk

__all__ = ["SETTINGS", "USUAL_PATIENCE", "Bounds", "ServeSettings", "WorkspaceSettings"]

USUAL_PATIENCE: Final = 25.0
"""Seconds that a client may be kept waiting if it doesn't say how long it waits: less than the 30 s
or 60 s after which most give up. Our own choice."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the server takes, so that no client can use it up.

    Attributes:
        max_body: bytes of a request that starts a call, or of one that the server answers itself.
        max_forwarded_body: bytes of a request that is forwarded.
        max_headers: header lines of a request.
        max_waiters: requests that may wait for a slot at once, over all workspaces, and permits
            that may wait in each of these.
        max_clients: connections at once.
        max_workspaces: workspaces whose gates are open at once.
        body_seconds: seconds within which the body of such a request has to arrive, and the first
            request of a connection.
    """

    max_body: int = 1024 * 1024
    max_forwarded_body: int = 128 * 1024 * 1024
    max_headers: int = 128
    max_waiters: int = 10_000
    max_clients: int = 20_000
    max_workspaces: int = 1_000
    body_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """How the gate of a workspace is opened.

    Attributes:
        lanes: the classes of calls; one plain lane if there are none.
        trunks: further ways to the telephone network.
        cps: calls that may start per second on the default trunk; None for any number.
        trunk_of: the trunk's name by the number to call from; a number that ends in ``*`` stands
            for all that begin so, and the longest that fits holds.
        ledger: the address of the server of a shared ledger; None for a ledger in memory.
        options: further arguments of `callguard.open_gate`.
    """

    lanes: tuple[Lane, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    cps: float | None = 1.0
    trunk_of: Mapping[str, str] = field(default_factory=dict)
    ledger: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of one server.

    Attributes:
        host: the address to listen on.
        port: the port to listen on; 0 for any free one.
        provider_url: the provider's address, without a slash at its end.
        allow_plain_http: whether keys may travel unencrypted to another machine.
        api_key: the key of the default workspace; None if there is none.
        token: the secret that a client needs where the address isn't loopback; None for none.
        read_only: whether pausing, resuming and draining is refused.
        wait: seconds that a request waits for a slot at most if it doesn't say; None for three
            quarters of the time-out that its client announces, or `USUAL_PATIENCE` if none.
        max_wait: seconds that a request may ask to wait at most.
        back_within: seconds for which a caller that was told to come back keeps its old position.
        renew_within: seconds within which a permit over HTTP has to be renewed. The default is more
            than twice as long as a request waits for its admission.
        idle: seconds after its last use in which a workspace's gate stays open.
        drain: seconds that SIGTERM waits for calls that the count may not show yet. The default is
            below the 30 s after which Kubernetes kills
            (kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle, read 2026-11-26).
        bounds: how much the server takes.
        workspace: how the gate of a workspace is opened that `workspaces` doesn't have.
        workspaces: how the gates of certain workspaces are opened, by the workspace's id.
    """

    host: str = "127.0.0.1"
    port: int = 8790
    provider_url: str = PRODUCTION_URL
    allow_plain_http: bool = False
    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    read_only: bool = False
    wait: float | None = None
    max_wait: float = 3600.0
    back_within: float = 120.0
    renew_within: float = 60.0
    idle: float = 300.0
    drain: float = 25.0
    bounds: Bounds = Bounds()
    workspace: WorkspaceSettings = WorkspaceSettings()
    workspaces: Mapping[str, WorkspaceSettings] = field(default_factory=dict)

    def of(self, workspace_id: str) -> WorkspaceSettings:
        """How the gate of the workspace with this id is opened."""
        return self.workspaces.get(workspace_id, self.workspace)


SETTINGS: Final = web.AppKey("settings", ServeSettings)
"""Where the application keeps its settings."""
