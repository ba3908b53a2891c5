"""A turn to read that brought no snapshot, as workers tell each other of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from callguard.errors import (
    CallGuardError,
    LimitsError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
)

__all__ = ["Failure", "key_mark", "told"]

_LONGEST_TEXT: Final = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of some worker's turn.

    Attributes:
        token: what the turn was told by.
        text: the error's; empty where it concerns that worker alone, such as its own session.
        kind: "rejected", "malformed" or "unavailable".
        status: the HTTP status of a rejection; else 0.
        mark: what the worker's key is told by.
    """

    token: int
    text: str
    kind: str
    status: int
    mark: str

    @classmethod
    def heard(cls, said: Mapping[str, Any]) -> Self:
        """What a server told. Anybody may have put it there, and it ends up in logs."""
        text = "".join(each for each in str(said["text"]) if each.isprintable())
        return cls(
            int(said["token"]),
            text[:_LONGEST_TEXT],
            str(said["kind"]),
            int(said["status"]),
            str(said["mark"]),
        )

    def error_for(self, mark: str) -> CallGuardError | None:
        """The error as it concerns the worker of another key, or of the same; None if it doesn't.

        That one key is refused says nothing of another.
        """
        if not self.text:
            return None
        if self.kind == "rejected":
            rejected = LimitsRejected(self.text, self.status)
            return None if rejected.of_the_key and mark != self.mark else rejected
        return (LimitsMalformed if self.kind == "malformed" else LimitsUnavailable)(self.text)


def told(error: CallGuardError, mark: str) -> dict[str, str | int]:
    """What a worker of the key with this mark says of its failed turn."""
    kind, status = "unavailable", 0
    if isinstance(error, LimitsRejected):
        kind, status = "rejected", error.status
    elif isinstance(error, LimitsMalformed):
        kind = "malformed"
    text = str(error)[:_LONGEST_TEXT] if isinstance(error, LimitsError) else ""
    return {"text": text, "kind": kind, "status": status, "mark": mark}


def key_mark(api_key: str) -> str:
    """What tells two keys apart, and neither can be found again from."""
    key = api_key.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"callguard mark\0" + key).hexdigest()[:12]
