"""What a ledger need not do that no other gate shares."""

from __future__ import annotations

__all__ = ["Unshared"]


class Unshared:
    """The part of a ledger in memory by which it is a `Ledger` as shared ones are.

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
