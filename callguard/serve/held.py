"""One permit that a client of the server holds, and what may be reported about it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from callguard.errors import CallGuardError
from callguard.gate import Gate, Permit
from callguard.serve.permit_errors import PermitConflict
from callguard.tasks import begin
from callguard.trunks import DEFAULT_TRUNK

__all__ = ["Asked", "HeldPermit", "HeldState", "Report"]

HeldState = Literal[
    "waiting", "dialling", "placed", "ended", "refused", "cancelled", "expired", "denied"
]
"""Those of a `Permit`, and two of a client that left the queue without a slot: "expired" if it
didn't renew its permit, "denied" if it waited as long as it may, or the gate admits nobody."""

Report = Literal["placed", "answered", "ended", "refused"]

_ADMITTED: Final = frozenset[HeldState]({"dialling", "placed", "ended", "refused", "cancelled"})

_MAY_FOLLOW: Final[Mapping[Report, Collection[HeldState]]] = {
    "placed": _ADMITTED,
    "answered": _ADMITTED,
    "ended": _ADMITTED,
    "refused": _ADMITTED - {"ended"},
}
"""By report, the states in which it can be true. A call that is reported as placed after it was
cancelled or refused counts again, because the usage must never be below the truth."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked for.

    Attributes:
        lane: the name of the call's lane; None for the default lane.
        trunk: the name of the call's trunk; None for a call without one.
        wait: seconds to wait in the queue at most; None for any time, 0 to not wait.
    """

    lane: str | None = None
    trunk: str | None = DEFAULT_TRUNK
    wait: float | None = None

    def __str__(self) -> str:
        lane = "the default lane" if self.lane is None else f"lane {self.lane!r}"
        trunk = "no trunk" if self.trunk is None else f"trunk {self.trunk!r}"
        return f"{lane}, {trunk} and {'any wait' if self.wait is None else f'{self.wait:g} s'}"

    def permit(self, gate: Gate) -> Permit:
        """The admission to enter.

        Raises:
            GateClosed: the gate drains, or is closed.
            UsageError: the gate has no such lane or trunk.
            TypeError: `wait` is not a number.
            ValueError: `wait` is negative or NaN.
        """
        if self.wait == 0:
            return gate.try_admit(self.lane, trunk=self.trunk)
        return gate.admit(self.lane, trunk=self.trunk, timeout=self.wait)


class HeldPermit:
    """One client's way through the gate.

    Only a waiting client has a task: the entry into the permit. Nothing leaves the permit's block,
    because what becomes of the call is for the client to report.

    Args:
        id: by which the client finds it again.
        asked: what the client asked for.
        permit: the admission, not yet entered.

    Attributes:
        entry: the task that waits in the queue.
        settled: set when the client doesn't wait any more.
        error: why the gate admits it no more; None unless it is denied.
        lapsed: whether it counts as placed only because it was not renewed.
        position: the client's position in its lane's queue at most; None before it was asked.
        polls: how many requests wait for it now.
    """

    __slots__ = (
        "_left",
        "asked",
        "entry",
        "error",
        "id",
        "lapsed",
        "permit",
        "polls",
        "position",
        "settled",
    )

    def __init__(self, id: str, asked: Asked, permit: Permit) -> None:  # noqa: A002
        self.id: Final = id
        self.asked: Final = asked
        self.permit: Final = permit
        self.settled: Final = asyncio.Event()
        self.error: BaseException | None = None
        self.lapsed = False
        self.position: int | None = None
        self.polls = 0
        self._left: Literal["cancelled", "expired", "denied"] | None = None
        self.entry = begin(permit.__aenter__(), name=f"callguard: permit {id}")
        self.entry.add_done_callback(self._entered)

    def __repr__(self) -> str:
        return f"<HeldPermit on lane {self.permit.lane.name!r}, {self.state}>"

    @property
    def state(self) -> HeldState:
        """What has become of it so far."""
        if self._left is not None:
            return self._left
        match self.permit.state:
            case "new" | "waiting":
                return "waiting"
            case "left":
                return "placed"
            case state:
                return state

    @property
    def live(self) -> bool:
        """Whether it waits, or holds a slot for a dial: whether its client has to renew it."""
        return self.state in {"waiting", "dialling"}

    def report(self, word: Report, call_id: str | None = None, status: int | None = None) -> None:
        """Record what the client reports of its call.

        Args:
            word: what has become of the call.
            call_id: the provider's id of the call, where it was placed; None if unknown.
            status: the provider's status, where it refused the call; None if unknown.

        Raises:
            PermitConflict: that can't be true in the present state.
            UsageError: another call's id was reported before.
            ValueError: `call_id` can't be an id.
        """
        if self._left is not None or self.state not in _MAY_FOLLOW[word]:
            raise PermitConflict(f"the call can't be {word}: the permit {self._why}", self.state)
        if call_id is not None:
            self.permit.placed(call_id)
        match word:
            case "placed":
                self.permit.placed()
            case "answered":
                self.permit.answered()
            case "ended":
                self.permit.ended()
            case "refused":
                self.permit.refused(status)

    def cancel(self) -> None:
        """Leave the queue, or give the slot back because nothing was dialled.

        Raises:
            PermitConflict: the call was reported as placed, ended or refused, or counts as placed.
        """
        if self.state == "waiting":
            self._leave("cancelled")
        elif self.state == "dialling":
            self.permit.cancel()
        elif self.state in {"placed", "ended", "refused"}:
            raise PermitConflict(f"it is too late to cancel: the permit {self._why}", self.state)

    def lapse(self) -> None:
        """Give up a client that didn't renew: it leaves the queue, or its call counts as placed."""
        if self.state == "waiting":
            self._leave("expired")
        elif self.state == "dialling":
            self.lapsed = True
            self.permit.placed()

    def deny(self, error: CallGuardError) -> None:
        """Take the client out of the queue for a reason of the server's own."""
        if self.state == "waiting":
            self.error = error
            self._leave("denied")

    @property
    def _why(self) -> str:
        """What the permit is, to follow "the permit"."""
        match self.state:
            case "waiting":
                return "is still waiting in the queue; dial when its state is 'dialling'"
            case "expired":
                return "was never admitted: it left the queue, because it was not renewed in time"
            case "denied":
                return f"was never admitted: {self.error}"
            case "cancelled" if self._left is not None:
                return "was never admitted: it was cancelled while it waited"
            case "placed" if self.lapsed:
                return "counts as placed, because it was not renewed in time"
            case state:
                return f"is {state}"

    def _leave(self, why: Literal["cancelled", "expired", "denied"]) -> None:
        self._left = why
        self.entry.cancel()
        self.settled.set()

    def _entered(self, entry: asyncio.Task[Permit]) -> None:
        """The entry is over: with a slot, with an error, or because the client left."""
        if entry.cancelled():
            self._left = self._left or "cancelled"
        elif (error := entry.exception()) is not None:
            self._left = self._left or "denied"
            self.error = error
        elif self._left is not None:
            self.permit.cancel()  # the slot came although the client had left
        self.settled.set()
