"""What may happen after a ledger has lost something, and what may not.

A loss is *noticed* by the first exchange of a worker that knows better: of any, where a part is
missing that was counted; of one that has heard of what happened since, where all is as it was once,
or nothing is there. From then on nobody is admitted until no permit of before can still be dialled
and every call that was is in the counter. Until then, a ledger that knows no better may admit
beyond the limit: its permits are *excused*, and nothing else ever is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Image", "Loss", "Losses"]


@dataclass(frozen=True, slots=True)
class Loss:
    """Something is gone.

    Attributes:
        excused_until: when every reading counts all that was lost, whoever notices.
        knowing: the workers that know better; None for all there are.
        sure: whether anything is missing at all.
        tried_at: when an exchange may have noticed it, and kept that, which failed or was the last
            of its worker.
    """

    excused_until: float
    knowing: frozenset[str] | None
    sure: bool = True
    tried_at: float | None = None

    def known_to(self, worker: str) -> bool:
        return self.knowing is None or worker in self.knowing


Image = tuple[tuple[Loss, ...], float, str]
"""What is pending, until when nobody is to be admitted, and the ledger's epoch."""


class Losses:
    """Watches every exchange that the server makes.

    Args:
        blame: called with a rule and what broke it.
        now: seconds, the world's.
        closed_for: seconds for which nobody is admitted after a loss was noticed.
        max_age: seconds for which a reading is good.

    Attributes:
        pending: what nobody has noticed yet.
        excused: permits that were given meanwhile.
        noticed: how many losses were.
        failures: how many scripts ended half way.
    """

    def __init__(
        self,
        blame: Callable[[str, str], None],
        now: Callable[[], float],
        *,
        closed_for: float,
        max_age: float,
    ) -> None:
        self.pending: list[Loss] = []
        self.excused: set[str] = set()
        self.noticed = 0
        self.failures = 0
        self._blame = blame
        self._now = now
        self._closed_for = closed_for
        self._max_age = max_age
        self._closed_until = 0.0
        self._heard_at: dict[str, float] = {}
        self._epoch = ""

    def heard(self, worker: str, made_at: float) -> None:
        """A worker has heard the answer to an exchange that changed the ledger."""
        self._heard_at[worker] = made_at

    def tear(self) -> None:
        """A part is missing that was counted."""
        self.pending.append(self._loss(None))

    def flush(self) -> None:
        """Nothing is left: as if the server had only just begun."""
        self.turn_back(-1.0, ((), 0.0, self._epoch))

    def image(self) -> Image:
        """What the ledger knows of losses now."""
        return tuple(self.pending), self._closed_until, self._epoch

    def turn_back(self, to: float, image: Image) -> None:
        """All is as it was at `to`, and the ledger knows what it knew then."""
        knowing = (worker for worker, at in self._heard_at.items() if at > to)
        pending, self._closed_until, self._epoch = image
        self.pending = [*pending, self._loss(frozenset(knowing))]

    def fail(self) -> None:
        """A script has failed half way: all of what it did is kept, or some, or nothing."""
        self.failures += 1
        self._may_be_noticed(self.pending)
        if all(loss.sure for loss in self.pending):
            self.pending.append(self._loss(None, sure=False))

    def made(self, worker: str, said: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """The server has made an exchange."""
        if answer["status"] != "ok":
            return
        begun_anew = self._epoch not in {"", answer["epoch"]}
        self._epoch = answer["epoch"]
        # One that comes from another ledger may know better without an answer: it was told.
        told = begun_anew and bool(said["epoch"])
        known = [loss for loss in self.pending if told or loss.known_to(worker)]
        if known and said.get("leaves"):
            self._may_be_noticed(known)
        elif known:
            self._settle(known, said, begun_anew=begun_anew)
        granted = [
            f"{worker}-{said['next'] + number}" for number in range(len(answer.get("grants") or ()))
        ]
        if any(self._now() < loss.excused_until for loss in self.pending):
            self.excused.update(granted)
        if granted and self._now() < self._closed_until:
            left = self._closed_until - self._now()
            self._blame("closed", f"{granted} admitted {left:.4f} s too early after a loss")

    def _may_be_noticed(self, which: list[Loss]) -> None:
        """The ledger may be closed from now on, but nobody is left who says so."""
        now = self._now()
        for number, loss in enumerate(self.pending):
            if loss in which and loss.tried_at is None:
                self.pending[number] = replace(loss, tried_at=now)

    def _settle(self, known: list[Loss], said: Mapping[str, Any], *, begun_anew: bool) -> None:
        """One that knew better has spoken; the pause that follows is for all that was lost."""
        # A ledger that is begun anew may have been so by an exchange that failed, for any loss.
        noticed = self.pending if begun_anew else known
        self.pending = [loss for loss in self.pending if loss not in known]
        sure = any(loss.sure for loss in known)
        if sure and "join" not in said:
            self._blame("noticed", f"the ledger goes on as if nothing were missing: {known}")
        if sure or begun_anew:
            self.pending.clear()
            self.noticed += 1
            tried = [loss.tried_at for loss in noticed if loss.tried_at is not None]
            since = min([self._now(), *tried])
            self._closed_until = max(self._closed_until, since + self._closed_for)

    def _loss(self, knowing: frozenset[str] | None, *, sure: bool = True) -> Loss:
        return Loss(self._now() + self._closed_for + self._max_age, knowing, sure)
