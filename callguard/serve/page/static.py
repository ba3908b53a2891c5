"""The style sheet, the script and the icon, each under an address that changes with its content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["Asset", "address", "assets"]

_TYPES: Final = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page.

    Attributes:
        body: its content.
        content_type: its media type.
    """

    body: bytes
    content_type: str


@cache
def assets() -> dict[str, Asset]:
    """All files, by their addresses."""
    return {_address(name, _read(name)): Asset(_read(name), kind) for name, kind in _TYPES.items()}


@cache
def address(name: str) -> str:
    """The address of the file of this name."""
    return _address(name, _read(name))


@cache
def _read(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()


def _address(name: str, body: bytes) -> str:
    stem, _, ending = name.rpartition(".")
    return f"/static/{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{ending}"
