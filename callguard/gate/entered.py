"""What is entered by ``async with``, and says so to whoever does something else with it."""

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

    # Type checkers don't see what is only there to be refused: they refuse it by themselves.
    if not TYPE_CHECKING:

        def _refuse(self, *_: object) -> NoReturn:
            raise UsageError(f"this is entered by `async with`: {self._how}")

        __enter__ = __exit__ = _refuse


class Entered(EnteredAsync):
    """Nothing by itself: refuses ``await``, ``if`` and the names of what entering it gives."""

    __slots__ = ()

    if not TYPE_CHECKING:
        __await__ = __bool__ = EnteredAsync._refuse

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"there is no {name!r} before this is entered by `async with`: {self._how}"
            )
