"""The life of a permit, as the caller sees it: its states, the transitions, and their effects.

::

    waiting ──▶ dialling ──▶ left ──▶ placed ──▶ ended
                    │          │         │
                    ├──────────┴─────────┴──▶ refused     the provider said no
                    └──────────┴────────────▶ cancelled   nothing was dialled

`left` means placed too, but only because the block was left, so `cancel` can still take it back. A
permit that was cancelled or refused counts again if it is later reported as placed, because the
usage must never be below the truth. `ended` overrides everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

__all__ = [
    "AFTER",
    "CANCELLED",
    "DIALLING",
    "ENDED",
    "LEFT",
    "NEW",
    "PLACED",
    "REFUSED",
    "WAITING",
    "State",
    "Step",
    "Word",
]

State = Literal["new", "waiting", "dialling", "left", "placed", "cancelled", "refused", "ended"]

NEW: Final = "new"
WAITING: Final = "waiting"
DIALLING: Final = "dialling"
LEFT: Final = "left"
PLACED: Final = "placed"
CANCELLED: Final = "cancelled"
REFUSED: Final = "refused"
ENDED: Final = "ended"

Step = Literal["place", "restore", "release", "withdraw"]
"""The operation that the ledger has to perform; see `Ledger`."""

Word = Literal["leave", "placed", "cancelled", "refused", "ended"]
"""A report about a permit; ``"leave"`` stands for leaving the block without another report."""

_CHANGES: Final[Mapping[Word, Mapping[State, tuple[State, Step | None]]]] = {
    "leave": {
        DIALLING: (LEFT, "place"),
    },
    "placed": {
        DIALLING: (PLACED, "place"),
        LEFT: (PLACED, None),
        CANCELLED: (PLACED, "restore"),
        REFUSED: (PLACED, "restore"),
    },
    "cancelled": {
        DIALLING: (CANCELLED, "release"),
        LEFT: (CANCELLED, "withdraw"),
    },
    "refused": {
        DIALLING: (REFUSED, "release"),
        LEFT: (REFUSED, "withdraw"),
        PLACED: (REFUSED, "withdraw"),
        CANCELLED: (REFUSED, None),
    },
    "ended": {
        DIALLING: (ENDED, "release"),
        LEFT: (ENDED, "withdraw"),
        PLACED: (ENDED, "withdraw"),
        CANCELLED: (ENDED, None),
        REFUSED: (ENDED, None),
    },
}
"""The entries of `AFTER` that change something."""

_ENTERED: Final[Sequence[State]] = (DIALLING, LEFT, PLACED, CANCELLED, REFUSED, ENDED)

AFTER: Final[Mapping[Word, Mapping[State, tuple[State, Step | None]]]] = {
    word: {state: changes.get(state, (state, None)) for state in _ENTERED}
    for word, changes in _CHANGES.items()
}
"""By report and present state: the state that follows, and the ledger's step. A permit that has not
been entered takes no report."""
