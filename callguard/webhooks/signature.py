"""Verifies that the provider signed a body recently.

The scheme is that of docs.retellai.com/features/secure-webhook and of retell-sdk 6.2.13
(``retell/lib/webhook_auth.py``): the header is ``v=<milliseconds>,d=<digest>``, where the digest
is the HMAC-SHA256, under the workspace's API key, of the raw body followed by the milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Final

from callguard.arguments import checked_seconds
from callguard.fetcher.settings import checked_api_key
from callguard.showing import shown
from callguard.webhooks.errors import WebhookForged, WebhookReplayed

__all__ = ["SIGNATURE_HEADER", "TOLERANCE", "check_delivery", "verify"]

SIGNATURE_HEADER: Final = "x-retell-signature"
"""The header with the signature (docs.retellai.com/features/secure-webhook)."""

TOLERANCE: Final = 300.0
"""Seconds between signing and receiving at most, as in retell-sdk 6.2.13 (`FIVE_MINUTES`)."""

# `int` also accepts digits of other scripts, and is slow for, or rejects, thousands of digits, so
# only ASCII digits are allowed, and at most 16, which last for 300,000 years.
_SIGNATURE: Final = re.compile(r"v=([0-9]{1,16}),d=([0-9a-f]{64})")


def verify(
    body: bytes,
    signature: str | None,
    api_key: str | None = None,
    *,
    tolerance: float = TOLERANCE,
    now: Callable[[], float] = time.time,
) -> None:
    """Check that the provider signed this body within the tolerance.

    This is the only place that reads the wall clock: the provider dates the signature by its own
    wall clock, which no other clock can be compared with. Only the age of a delivery depends on it.

    Args:
        body: the body as it was received, before any decoding. JSON that was parsed and serialized
            again is another body.
        signature: the header `SIGNATURE_HEADER`; None if the request has none.
        api_key: the workspace's key that has the webhook badge; else the environment's
            `RETELL_API_KEY`.
        tolerance: seconds between signing and now, at most, to either side.
        now: the wall clock, in seconds since 1970.

    Raises:
        WebhookForged: the body is not signed, or not with this key, or the signature is another
            body's.
        WebhookReplayed: the body is signed with this key, but outside the tolerance.
        UsageError: there is no key, or it can't be right.
        TypeError: `body` isn't bytes, `signature` isn't text, or `tolerance` is not a number.
        ValueError: `tolerance` is not a finite number of seconds, at least 0.
    """
    check_delivery(body, signature)
    key = checked_api_key(api_key)
    tolerance = checked_seconds("tolerance", tolerance, above_zero=False)
    match = _SIGNATURE.fullmatch(signature or "")
    if match is None:
        raise WebhookForged("the delivery is not signed in the provider's form")
    signed_at, digest = int(match[1]), match[2]
    # The digest is checked first, so that only a genuine signature is reported as replayed.
    if not hmac.compare_digest(_digest(body, signed_at, key), digest):
        raise WebhookForged("the signature does not fit the body and the workspace's key")
    # Whole milliseconds, as in retell-sdk, so that both agree at the edge too.
    age = int(now() * 1000) - signed_at
    if abs(age) > tolerance * 1000:
        when = "ago" if age > 0 else "ahead of this machine's clock"
        raise WebhookReplayed(f"signed {abs(age) / 1000:.0f} s {when}, {tolerance:g} s are allowed")


def check_delivery(body: object, signature: object) -> None:
    """Check the types of a delivery's body and signature.

    Raises:
        TypeError: `body` isn't bytes, or `signature` isn't text.
    """
    if not isinstance(body, bytes | bytearray):
        raise TypeError(
            f"body must be the bytes that were received, got {shown(body)}: a decoded or parsed "
            "body can't be verified"
        )
    if not isinstance(signature, str | None):
        raise TypeError(f"signature must be the header's text or None, got {shown(signature)}")


def _digest(body: bytes, signed_at: int, key: str) -> str:
    code = hmac.new(key.encode(), body, hashlib.sha256)
    code.update(str(signed_at).encode())
    return code.hexdigest()
