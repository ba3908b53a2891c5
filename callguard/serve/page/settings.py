"""The settings of the page."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PageSettings"]


@dataclass(frozen=True, slots=True)
class PageSettings:
    """How the page is protected.

    Attributes:
        host: the loopback address that the server listens on, where whoever reaches it may look;
            None where the token protects it, under whatever name it has.
        token: what has to be shown to sign in; None where nobody has to.
        read_only: whether nothing may be paused, resumed or drained here.
        max_watchers: pages that may be open at once.
        body_seconds: seconds within which a form has to arrive.
    """

    host: str | None = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    read_only: bool = False
    max_watchers: int = 200
    body_seconds: float = 30.0
