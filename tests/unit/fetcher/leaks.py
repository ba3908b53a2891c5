"""Looks for the key in whatever an error carries."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

import pytest

KEY = "key_5ecretc0ffee1234567890"

_BEGINNING = KEY[:12]
"""A cut may leave a part of the key, so its beginning is looked for."""


def assert_keyless(error: BaseException) -> None:
    """Fail if the key is in the error, its arguments, attributes, causes or printed form."""
    seen = [*_texts(error, set()), *traceback.format_exception(error)]
    leaking = [text for text in seen if _BEGINNING in text]
    assert not leaking


def assert_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Fail if anything was logged but what asyncio tells of its loops, or if the key was."""
    assert _BEGINNING not in caplog.text
    own_or_grave = [r for r in caplog.records if r.name != "asyncio" or r.levelname != "DEBUG"]
    assert not own_or_grave


def _texts(thing: object, visited: set[int]) -> Iterator[str]:
    if id(thing) in visited:
        return
    visited.add(id(thing))
    yield str(thing)
    yield repr(thing)
    if isinstance(thing, BaseException):
        inner = [thing.args, vars(thing), thing.__cause__, thing.__context__]
        for part in inner:
            yield from _texts(part, visited)
    elif isinstance(thing, list | tuple | dict):
        for part in thing.values() if isinstance(thing, dict) else thing:
            yield from _texts(part, visited)
