"""What there may be only one of."""

from __future__ import annotations

from typing import ClassVar, NoReturn

__all__ = ["Unique"]


class Unique:
    """Stands for one thing in the world: a copy would be counted, or given back, once more.

    Attributes:
        _advice: what to do in place of copying.
    """

    __slots__ = ()

    _advice: ClassVar[str]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """Refuse `copy.copy`, `copy.deepcopy` and `pickle`, which all come here."""
        raise TypeError(f"a {type(self).__name__} can't be copied or pickled: {self._advice}")
