"""What things are called on the server: no key, no name and no call id in clear."""

from __future__ import annotations

import hashlib

__all__ = ["EVERY_LEDGER", "Names", "workspace_hash"]

_KEYS = (
    "ledger",
    "workers",
    "sessions",
    "permits",
    "uncounted",
    "claims",
    "queue",
    "called",
    "calls",
    "early",
)

EVERY_LEDGER = f"callguard:{{*}}:{_KEYS[0]}"
"""What the main key of any ledger matches."""


class Names:
    """The names that belong to one workspace; all under one hash tag, so in one cluster slot.

    Args:
        workspace: what the workspace is told by: its API key, or a name of the user's. It can't be
            found again from what is made of it, if it is as long as a key.
    """

    def __init__(self, workspace: str) -> None:
        self._secret = _digest(workspace)
        prefix = f"callguard:{{{workspace_hash(workspace)}}}:"
        self.keys = tuple((prefix + key).encode() for key in _KEYS)
        self._prefix = prefix

    @property
    def channels(self) -> str:
        """What every channel's name begins with."""
        return self._prefix

    def channels_of(self, worker: str) -> tuple[str, str]:
        """Where a worker listens: what concerns all, and what concerns it alone."""
        return f"{self._prefix}all", f"{self._prefix}{worker}"

    def call(self, call_id: str) -> str:
        """What stands for the provider's id of a call, in 24 hexadecimal digits."""
        return hashlib.blake2b(_bytes(call_id), digest_size=12, key=self._secret).hexdigest()


def workspace_hash(workspace: str) -> str:
    """What stands for a workspace where others may read it, in 24 hexadecimal digits.

    Args:
        workspace: as in `Names`.
    """
    return _digest(workspace)[:12].hex()


def _digest(workspace: str) -> bytes:
    return hashlib.sha256(b"callguard\0" + _bytes(workspace)).digest()


def _bytes(text: str) -> bytes:
    """What a text is hashed as; half a surrogate pair is no reason to stop."""
    return text.encode("utf-8", "surrogatepass")
