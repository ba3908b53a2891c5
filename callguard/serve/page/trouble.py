"""Why the page doesn't do what it was asked for."""

from __future__ import annotations

__all__ = ["Trouble"]


class Trouble(Exception):
    """An answer in words instead of what was asked for.

    Args:
        status: the HTTP status.
        title: what happened, in a few words.
        detail: a sentence with what to do.
    """

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(status, title, detail)
        self.status = status
        self.title = title
        self.detail = detail
