"""Objects that can't be copied."""

from __future__ import annotations

from typing import ClassVar, NoReturn

__all__ = ["Unique"]


class Unique:
    """A base of objects that a copy would count, or give back, a second time.

    Attributes:
        _advice: what to do instead of copying.
    """

    __slots__ = ()

    _advice: ClassVar[str]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse `copy.copy`, `copy.deepcopy` and `pickle`, which all call this method."""
        raise TypeError(f"a {type(self).__name__} can't be copied or pickled: {self._advice}")
