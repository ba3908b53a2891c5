"""The methods of a ledger that have nothing to do where no other gate shares it."""

from __future__ import annotations

__all__ = ["Unshared"]


class Unshared:
    """The methods of a `Ledger` that do nothing in a ledger in memory.

    Attributes:
        others_wait: False: there is no other gate.
    """

    __slots__ = ()

    others_wait: bool = False

    def set_pause(self, lane: str | None, trunk: str | None, why: tuple[str, str] | None) -> None:
        """Do nothing, since there is no other gate to pause."""

    def note_queue(self) -> None:
        """Do nothing, since the gate itself grants the slots."""

    def lost(self, number: int, now: float) -> bool:  # noqa: ARG002
        """Return False: no permit of a ledger in memory is lost."""
        return False
