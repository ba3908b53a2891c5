"""A joining worker's report of the permits that it holds, in pieces if there are many."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from callguard.ledger.redis.held import ENDS_DIALLING
from callguard.ledger.redis.view import View
from callguard.ledger.redis.wire import Introduction

__all__ = ["Statement", "runs_of"]


class Statement:
    """A worker's statement of the permits that it holds.

    The introduction names the latest. If the ledger knows nothing of the others, or takes them for
    placed, they are named one by one in the exchanges after it. A ledger that knows nothing of them
    admits nobody meanwhile, and for as long afterwards as if the worker had died, for it may.

    Args:
        view: the worker's view of the ledger.
        at_once: how many permits the introduction names, besides those in doubt.

    Attributes:
        doubtful: the numbers of the permits that the worker may have been granted in an exchange
            that had no answer.
        is_whole: whether the latest introduction named all permits.
        is_incomplete: whether the ledger may know nothing of some permits.
    """

    def __init__(self, view: View, at_once: int) -> None:
        self.doubtful = range(1, 1)
        self.is_whole = True
        self._view = view
        self._at_once = at_once
        self._named: set[int] = set()
        self.is_incomplete = self._leaves_some_unsaid = False

    def introduction(self, label: str, trunks: dict[str, str]) -> Introduction:
        """Introduce the worker `label`, and what people see of its `trunks`."""
        held = sorted(self._view.held())
        first = self.doubtful.start
        named = [each for each in held[: -self._at_once] if each[0] >= first]
        named += held[-self._at_once :]
        self._named = {number for number, _ in named}
        self._view.outbox.note_held(self._named)
        self.is_whole = len(named) == len(held)
        introduction: Introduction = {
            "epoch": uuid.uuid4().hex,
            "label": label,
            "held": runs_of(named),
            "since": first,
            "until": self.doubtful.stop,
            "trunks": trunks,
        }
        if not self.is_whole:
            introduction["holds_more"] = True
        return introduction

    def leaves_some_unsaid(self) -> bool:
        """Whether the ledger knows nothing of some permits even after the exchange that begins."""
        has_all = self._view.outbox.batch_has_all_happenings
        self._leaves_some_unsaid = self.is_incomplete and not has_all
        return self._leaves_some_unsaid

    def heard(self, *, is_unknown: bool, is_void: bool) -> None:
        """Note that the ledger has the latest request.

        Args:
            is_unknown: whether it knew nothing of the worker before.
            is_void: whether it took the worker's permits for placed.
        """
        self.is_incomplete = is_unknown or self._leaves_some_unsaid
        if is_unknown or is_void:
            self._name_the_others()

    def _name_the_others(self) -> None:
        """Report the permits that were not named, unless another pending report names them."""
        pending = self._view.outbox.pending()
        reported = {int(said[1]) for said in pending if said[0] in ENDS_DIALLING | {"adopt"}}
        for number, lane in self._view.held():
            if number not in reported and number not in self._named:
                self._view.outbox.say("hold", number, lane)


def runs_of(held: Sequence[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Join permits of one lane to runs, each as its first number, its last number and the lane."""
    runs: list[tuple[int, int, str]] = []
    for number, lane in sorted(held):
        if runs and runs[-1][1:] == (number - 1, lane):
            runs[-1] = runs[-1][0], number, lane
        else:
            runs.append((number, number, lane))
    return runs
