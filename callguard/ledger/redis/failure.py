"""Failed readings, as they are reported to all workers of a ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, TypedDict

from callguard.errors import (
    CallGuardError,
    LimitsError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
)

__all__ = ["Failure", "Reason", "key_mark", "reason"]

_LONGEST_TEXT: Final = 500


class Reason(TypedDict):
    """The reason why a reading failed.

    Attributes:
        text: the error's text; empty if the error concerns that worker alone, such as its session.
        kind: "rejected", "malformed" or "unavailable".
        status: the HTTP status of the provider's answer; 0 if there is none that counts.
        mark: a mark that tells the worker's key from others; see `key_mark`.
        took: ms from the right to read until the failure.
    """

    text: str
    kind: str
    status: int
    mark: str
    took: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed reading, with the fields of `Reason`.

    Attributes:
        token: the token of the right to read.
    """

    token: int
    text: str
    kind: str
    status: int
    mark: str
    took: int

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Self:
        """Parse a failure from the server. Anybody may have put it there, and logs will show it.

        Raises:
            KeyError, TypeError, ValueError: `said` is not a failure.
        """
        text = "".join(each for each in str(said["text"]) if each.isprintable())
        return cls(
            int(said["token"]),
            text[:_LONGEST_TEXT],
            str(said["kind"]),
            int(said["status"]),
            str(said["mark"]),
            max(0, int(said["took"])),
        )

    def error_for(self, mark: str) -> CallGuardError | None:
        """The error for a worker whose key has this mark; None if it doesn't concern that worker.

        A provider that rejects one key may accept another.
        """
        if not self.text:
            return None
        if self.kind == "rejected":
            rejected = LimitsRejected(self.text, self.status)
            return None if rejected.of_the_key and mark != self.mark else rejected
        if self.kind == "malformed":
            return LimitsMalformed(self.text)
        return LimitsUnavailable(self.text, status=self.status or None)


def reason(error: CallGuardError, mark: str, took: float) -> Reason:
    """Make the report of a reading that failed with `error`.

    Args:
        error: the error.
        mark: the mark of the worker's key.
        took: seconds from the right to read until the failure.
    """
    kind, status = "unavailable", None
    if isinstance(error, LimitsRejected):
        kind, status = "rejected", error.status
    elif isinstance(error, LimitsMalformed):
        kind = "malformed"
    elif isinstance(error, LimitsUnavailable):
        status = error.status
    text = str(error)[:_LONGEST_TEXT] if isinstance(error, LimitsError) else ""
    return {
        "text": text,
        "kind": kind,
        "status": status or 0,
        "mark": mark,
        "took": int(took * 1000),
    }


def key_mark(api_key: str) -> str:
    """A short mark that differs for two keys, and from which neither can be recovered."""
    key = api_key.encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"callguard mark\0" + key).hexdigest()[:12]
