"""Docstrings for code that doesn't await, made of those for code that does."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from textwrap import indent
from typing import Any, Final, TypeVar

__all__ = ["sections", "worded"]

C = TypeVar("C", bound=type[Any])

_OTHERWISE: Final[Mapping[str, str]] = {
    "async with ": "with ",
    "await ": "",
    "Cancelling the wait": "An interruption of the wait, as by Ctrl-C,",
    "Cancelling that": "An interruption of that, as by Ctrl-C,",
    "or belongs to another event loop": "or this thread runs an event loop",
    "the gate belongs to another event loop": "this thread runs another event loop",
    "takes the permit and returns an awaitable.": "takes the permit.",
    "`dial` didn't return an awaitable, which counts": "`dial` returned an awaitable, which counts",
}
"""What is different between the two, by the words for code that awaits."""


def worded(other: type) -> Callable[[C], C]:
    """A decorator that gives a class's members the docstrings of the same members of `other`.

    Members that have a docstring keep it.
    """

    def word(kind: C) -> C:
        for name, member in vars(kind).items():
            original = getattr(other, name, None)
            if not name.startswith("_") and not member.__doc__ and original is not None:
                member.__doc__ = _reworded(original.__doc__)
        return kind

    return word


def sections(function: Callable[..., object]) -> str:
    """The part of a docstring from its arguments, results or errors on, for the end of another."""
    text = inspect.cleandoc(function.__doc__ or "")
    found = re.search(r"^(?:Args|Returns|Raises):$", text, re.MULTILINE)
    return "" if found is None else indent(_reworded(text[found.start() :]), "    ").lstrip()


def _reworded(text: str | None) -> str:
    text = text or ""
    for words, others in _OTHERWISE.items():
        text = re.sub(re.escape(words).replace(r"\ ", r"\s+"), others, text)
    return text
