"""A stand-in for the gate, and deliveries to give it."""

from __future__ import annotations

import json

from callguard.simulator.webhooks import sign

KEY = "key_5ecretc0ffee1234567890"
NOW = 1_795_000_000.0
"""Seconds since 1970 on the tests' wall clock."""


class Witness:
    """Writes down what is reported to it, as a gate would take it."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, bool]] = []
        self.recorded: list[float | None] = []

    def note_answered(self, call_id: str, *, at: float | None = None) -> None:
        self.notes.append(("started", call_id, False))
        self.recorded.append(at)

    def note_ended(self, call_id: str, *, refused: bool = False, at: float | None = None) -> None:
        self.notes.append(("ended", call_id, refused))
        self.recorded.append(at)


def now() -> float:
    return NOW


def body_of(event: str, call_id: str = "call_1", **fields: object) -> bytes:
    return json.dumps({"event": event, "call": {"call_id": call_id, **fields}}).encode()


def signed(body: bytes, *, key: str = KEY, at: float = NOW) -> str:
    return sign(body, key, at)
