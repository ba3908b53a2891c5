"""Bases of objects for ``with``, with clear errors if they are used in another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from callguard.errors import UsageError

__all__ = ["Entered", "EnteredLater"]


class Entered:
    """Refuses ``async with`` by naming ``with``.

    Attributes:
        _how: what to write.
    """

    __slots__ = ()

    _how: ClassVar[str]

    # Hidden from type checkers, which report the wrong use by themselves.
    if not TYPE_CHECKING:

        def _refuse(self, *_: object) -> NoReturn:
            raise UsageError(f"this is entered by `with`, without `async`: {self._how}")

        __aenter__ = __aexit__ = __await__ = _refuse


class EnteredLater(Entered):
    """Refuses ``if`` and attributes as well, which belong to what entering returns."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __bool__ = Entered._refuse

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"there is no {name!r} before this is entered by `with`: {self._how}"
            )
