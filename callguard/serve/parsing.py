"""Reads an `Overview` from JSON, as ``GET /v1/status`` answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from callguard.serve.views import Overview

__all__ = ["overview_from"]

T = TypeVar("T")


def overview_from(answer: object) -> Overview:
    """Read an overview from decoded JSON; fields that are unknown here are ignored.

    Raises:
        ValueError: it is no overview; the message has the field.
    """
    return _dataclass(Overview, answer, "the answer")


def _dataclass(kind: Callable[..., T], value: object, name: str) -> T:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be an object")  # noqa: TRY004 - one error for all
    types = _types(kind)
    missing = [each for each in types if each not in value]
    if missing:
        raise ValueError(f"{name} has no field {missing[0]!r}")
    return kind(**{each: _read(of, value[each], each) for each, of in types.items()})


@cache
def _types(kind: Any) -> Mapping[str, object]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _read(kind: Any, value: object, name: str) -> object:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        (some,) = (each for each in inner if each is not NoneType)
        return None if value is None else _read(some, value, name)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], each, name) for each in value)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, name)
    if origin is Literal and value in inner:
        return value
    if kind is float and type(value) in {int, float}:
        return float(value)  # type: ignore[arg-type]
    if type(value) is kind:
        return value
    raise ValueError(f"{name!r} can't be {str(value)[:80]!r}")
