"""Batches of calls, which the provider dials by itself, outside of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["WARNING", "BatchForwarded"]

WARNING: Final = (
    "the calls of a batch are outside of the gate, which sees them only when the count shows them; "
    "keep slots free for them by a reserve, or start its calls one by one"
)
"""What the client of a batch, the log and the page are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchForwarded:
    """A request that starts a batch was forwarded.

    Attributes:
        gate: the id of the workspace's gate.
        workspace: the hash of the workspace.
    """

    gate: str
    workspace: str
