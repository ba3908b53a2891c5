"""What the buttons do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from callguard.serve.page.desk import Watched
from callguard.serve.page.trouble import Trouble

__all__ = ["ORDERS"]

_LONGEST_REASON: Final = 200
"""Characters of a reason; sentences have to stay sentences."""


def _pause(watched: Watched, fields: Mapping[str, str]) -> None:
    lane, trunk = _scope(fields)
    watched.pause(lane, trunk, fields.get("reason", "").strip()[:_LONGEST_REASON])


def _resume(watched: Watched, fields: Mapping[str, str]) -> None:
    lane, trunk = _scope(fields)
    watched.resume(lane, trunk)


def _drain(watched: Watched, fields: Mapping[str, str]) -> None:
    del fields
    watched.drain()


def _scope(fields: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The lane and the trunk that a button names."""
    try:
        lane, trunk = json.loads(fields.get("scope", "[null, null]"))
    except (ValueError, TypeError, RecursionError):
        lane = trunk = 0
    if not (isinstance(lane, str | None) and isinstance(trunk, str | None)):
        raise Trouble(400, "Not a form of ours", "a scope is a lane and a trunk; nothing was done")
    return lane, trunk


ORDERS: Final[Mapping[str, Callable[[Watched, Mapping[str, str]], None]]] = {
    "pause": _pause,
    "resume": _resume,
    "drain": _drain,
}
"""The orders, by the paths that they are sent to."""
