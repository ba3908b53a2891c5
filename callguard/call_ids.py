"""The provider's ids of calls by permit, and back."""

from __future__ import annotations

from collections.abc import Iterable, KeysView

__all__ = ["CallIds"]


class CallIds:
    """Which permit's call has which of the provider's ids, the oldest first.

    An id that two permits were given belongs to the later one.
    """

    __slots__ = ("_call_of", "_number_of")

    def __init__(self) -> None:
        self._call_of: dict[int, str] = {}
        self._number_of: dict[str, int] = {}

    def bind(self, number: int, call_id: str) -> None:
        """Record the id of a permit's call."""
        self._call_of[number] = call_id
        self._number_of[call_id] = number

    def forget(self, number: int) -> None:
        """Forget a permit, and its call's id unless that belongs to another one."""
        call_id = self._call_of.pop(number, None)
        if call_id is not None and self._number_of.get(call_id) == number:
            del self._number_of[call_id]

    def number_of(self, call_id: str) -> int | None:
        """The permit of a call; None if it is unknown."""
        return self._number_of.get(call_id)

    def of(self, numbers: Iterable[int]) -> dict[str, int]:
        """The ids of these permits' calls, as far as they are known, each with its permit."""
        found = {}
        for number in numbers:
            call_id = self._call_of.get(number)
            if call_id is not None and self._number_of.get(call_id) == number:
                found[call_id] = number
        return found

    @property
    def all(self) -> KeysView[str]:
        """The ids, the oldest first."""
        return self._number_of.keys()
