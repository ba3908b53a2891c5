"""The errors of permits that clients hold over HTTP, each with the status to answer with.

::

    PermitError (a CallGuardError)
    ├── PermitUnknown    404  no such permit here
    ├── PermitConflict   409  the report contradicts the permit's state
    ├── KeyReused        409  the key stands for another request
    ├── PermitExpired    410  it left the queue, because it was not renewed
    └── TooManyWaiting   429  as many permits wait as may
"""

from __future__ import annotations

from typing import ClassVar

from callguard.errors import CallGuardError

__all__ = [
    "KeyReused",
    "PermitConflict",
    "PermitError",
    "PermitExpired",
    "PermitUnknown",
    "TooManyWaiting",
]


class PermitError(CallGuardError):
    """A request about a permit was not done.

    Attributes:
        status: the HTTP status to answer with.
        kind: the last part of the problem's type.
    """

    status: ClassVar[int]
    kind: ClassVar[str]


class PermitUnknown(PermitError):
    """There is no such permit here: it is another server's or workspace's, forgotten, or no id."""

    status = 404
    kind = "no-such-permit"

    def __init__(self) -> None:
        super().__init__(
            "there is no such permit here. A permit of another server, from before a restart, or "
            "over for long, counts as placed; report the end of its call by the webhook, or by PUT "
            "/v1/calls/{call_id}/ended"
        )


class PermitConflict(PermitError):
    """The report contradicts what is known of the permit, and has changed nothing.

    Attributes:
        state: the permit's state.
    """

    status = 409
    kind = "wrong-order"

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message, state)
        self.state = state

    def __str__(self) -> str:
        return str(self.args[0])


class KeyReused(PermitError):
    """The key was used before, for a permit on another lane, on another trunk, or another wait."""

    status = 409
    kind = "key-reused"


class PermitExpired(PermitError):
    """The permit left the queue, because its client didn't ask for it in time."""

    status = 410
    kind = "permit-expired"


class TooManyWaiting(PermitError):
    """As many permits wait as may; nothing was queued."""

    status = 429
    kind = "too-many-waiting"
