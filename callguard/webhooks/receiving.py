"""Receives deliveries, and reports them to the gate as evidence."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable
from typing import Final, Protocol

from callguard.showing import shown
from callguard.webhooks.errors import WebhookTooLarge
from callguard.webhooks.event import CallEvent, parse
from callguard.webhooks.signature import TOLERANCE, check_delivery, verify

__all__ = ["LONGEST_BODY", "EvidenceGate", "check_gate", "read", "receive"]

LONGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes of a delivery at most.

The event of an ended call has its transcript several times over, with two timestamps for each word
(SDK 6.2.13, `PhoneCallResponse`). The longest call lasts 2 h; at 150 words a minute and 70 bytes a
word, that makes 1.3 MB for each of up to five transcripts.
"""


class EvidenceGate(Protocol):
    """A gate that takes evidence about calls, such as `callguard.Gate`.

    Both methods may be called for any call, any number of times, in any order and from any thread.
    """

    def note_answered(self, call_id: str, *, at: float | None = None) -> None:
        """Record that the call was answered, `at` that time by the provider's record."""

    def note_ended(self, call_id: str, *, refused: bool = False, at: float | None = None) -> None:
        """Record that the call is over; `refused` if that is because the workspace was full."""


def receive(
    gate: EvidenceGate,
    body: bytes,
    signature: str | None,
    *,
    api_key: str | None = None,
    tolerance: float = TOLERANCE,
    now: Callable[[], float] = time.time,
) -> CallEvent:
    """Take one delivery: check its size, its signature and its form, and report it to the gate.

    It neither waits nor remembers anything, and may be called in any thread. An event that proves
    nothing about a call is accepted, and so is a repeated one.

    Args:
        gate: the gate to report the delivery to.
        body: the body as it was received, from `read`.
        signature: the header `SIGNATURE_HEADER`; None if the request has none.
        api_key: the workspace's key that has the webhook badge; else the environment's
            `RETELL_API_KEY`.
        tolerance: seconds between signing and now at most; see `verify`.
        now: the wall clock, in seconds since 1970; see `verify`.

    Raises:
        WebhookError: the delivery was not accepted; answer with its `status`.
        UsageError: there is no key, or it can't be right.
        TypeError: `gate` is not an open gate, `body` isn't bytes, or `signature` isn't text.
    """
    check_gate(gate)
    check_delivery(body, signature)
    if len(body) > LONGEST_BODY:
        raise _too_large()
    verify(body, signature, api_key, tolerance=tolerance, now=now)
    event = parse(body)
    if event.call_id is not None:
        _report(gate, event, event.call_id)
    return event


async def read(chunks: AsyncIterable[bytes]) -> bytes:
    """Read the body of a request, and stop as soon as it is too long.

    Cancelling leaves nothing behind.

    Args:
        chunks: the body as it comes in, such as Starlette's ``request.stream()``.

    Raises:
        WebhookTooLarge: the body has more than `LONGEST_BODY` bytes.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > LONGEST_BODY:
            raise _too_large()
    return bytes(body)


def check_gate(gate: object) -> None:
    """Check that `gate` takes evidence.

    Raises:
        TypeError: it doesn't, say because it is what `open_gate` returns, not yet entered.
    """
    if not (hasattr(gate, "note_answered") and hasattr(gate, "note_ended")):
        raise TypeError(f"gate must be an open gate, got {shown(gate)}")


def _report(gate: EvidenceGate, event: CallEvent, call_id: str) -> None:
    if event.ended:
        gate.note_ended(call_id, refused=event.refused, at=event.at)
    elif event.started:
        gate.note_answered(call_id, at=event.at)


def _too_large() -> WebhookTooLarge:
    return WebhookTooLarge(f"the body has more than {LONGEST_BODY} bytes")
