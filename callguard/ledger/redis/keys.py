"""The names of keys, channels and calls on the server, none of which shows a secret."""

from __future__ import annotations

import hashlib

__all__ = ["EVERY_LEDGER", "Names", "trunk_hash", "workspace_hash"]

_KEYS = (
    "ledger",
    "workers",
    "sessions",
    "permits",
    "dialling",
    "uncounted",
    "claims",
    "queue",
    "called",
    "calls",
    "early",
    "starts",
    "occupied",
    "paused",
)

EVERY_LEDGER = f"callguard:{{*}}:{_KEYS[0]}"
"""A pattern that the main key of any ledger matches."""


class Names:
    """The names of one workspace, which share one hash tag, and so one slot in a cluster.

    Args:
        workspace: the workspace's API key, or a name that the user gave it. If it is as long as a
            key, nobody can recover it from these names.
    """

    def __init__(self, workspace: str) -> None:
        self._secret = _digest(workspace)
        prefix = f"callguard:{{{workspace_hash(workspace)}}}:"
        self.keys = tuple((prefix + key).encode() for key in _KEYS)
        self.keys_of_pauses = self.keys[0], self.keys[-1]
        self._prefix = prefix

    @property
    def channels(self) -> str:
        """The prefix of every channel's name."""
        return self._prefix

    def channels_of(self, worker: str) -> tuple[str, str]:
        """The channels of a worker: one for messages to all workers, and one of its own."""
        return f"{self._prefix}all", f"{self._prefix}{worker}"

    def call(self, call_id: str) -> str:
        """The hash of the provider's id of a call, in 24 hexadecimal digits."""
        return hashlib.blake2b(_bytes(call_id), digest_size=12, key=self._secret).hexdigest()


def trunk_hash(name: str) -> str:
    """The hash of a trunk's name, which fits into other texts: 16 hexadecimal digits."""
    return hashlib.blake2b(_bytes(name), digest_size=8).hexdigest()


def workspace_hash(workspace: str) -> str:
    """The hash of a workspace, which others may read, in 24 hexadecimal digits.

    Args:
        workspace: as in `Names`.
    """
    return _digest(workspace)[:12].hex()


def _digest(workspace: str) -> bytes:
    return hashlib.sha256(b"callguard\0" + _bytes(workspace)).digest()


def _bytes(text: str) -> bytes:
    """The bytes of a text, even if it has half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")
