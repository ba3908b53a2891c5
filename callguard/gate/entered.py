"""Bases of objects for ``async with``, with clear errors if they are used in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from callguard.errors import UsageError

__all__ = ["Entered", "EnteredAsync"]


class EnteredAsync:
    """Refuses ``with`` by naming ``async with``.

    Attributes:
        _how: what to write.
    """

    __slots__ = ()

    _how: ClassVar[str]

    # Hidden from type checkers, which report the wrong use by themselves.
    if not TYPE_CHECKING:

        def _refuse(self, *_: object) -> NoReturn:
            raise UsageError(f"this is entered by `async with`: {self._how}")

        __enter__ = __exit__ = _refuse


class Entered(EnteredAsync):
    """Refuses ``await``, ``if`` and attributes as well, which belong to what entering returns."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __await__ = __bool__ = EnteredAsync._refuse

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"there is no {name!r} before this is entered by `async with`: {self._how}"
            )
