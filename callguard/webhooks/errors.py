"""The errors of a delivery that was not accepted."""

from __future__ import annotations

from typing import ClassVar

from callguard.errors import CallGuardError

__all__ = [
    "WebhookError",
    "WebhookForged",
    "WebhookMalformed",
    "WebhookReplayed",
    "WebhookTooLarge",
]


class WebhookError(CallGuardError):
    """A delivery was not accepted, and has changed nothing.

    The message contains no part of the delivery and no key, so it may be sent back.

    Attributes:
        status: the HTTP status to answer with.
    """

    status: ClassVar[int] = 400


class WebhookForged(WebhookError):
    """The delivery is not signed, or not with this key, or not for this body."""

    status = 401


class WebhookReplayed(WebhookError):
    """The delivery was signed too long ago, or by a clock too far ahead; or our clock is wrong."""

    status = 401


class WebhookTooLarge(WebhookError):
    """The body has more than `LONGEST_BODY` bytes."""

    status = 413


class WebhookMalformed(WebhookError):
    """The body is not what the provider sends."""

    status = 400
