"""The provider's webhooks as evidence: who may report to the gate what became of a call, and what.

With aiohttp::

    app.router.add_post("/webhook", callguard.webhooks.handler(gate))

With any other framework, where `chunks` is the request's body as it comes in::

    body = await callguard.webhooks.read(chunks)
    callguard.webhooks.receive(gate, body, headers.get("x-retell-signature"))

Both raise, or answer with, one of these, and have changed nothing then::

    WebhookError (a CallGuardError)
    ├── WebhookForged       401  not signed with the workspace's key
    ├── WebhookReplayed     401  signed too long ago, or by a clock too far ahead
    ├── WebhookTooLarge     413  longer than any delivery of the provider's
    └── WebhookMalformed    400  signed, and yet not what the provider sends

No delivery is remembered. The provider repeats one that it thinks lost and keeps no order, so the
gate takes evidence any number of times and in any order; a repeated delivery is accepted, and
changes nothing for that reason.
"""

from callguard.webhooks.aiohttp_handler import handler
from callguard.webhooks.errors import (
    WebhookError,
    WebhookForged,
    WebhookMalformed,
    WebhookReplayed,
    WebhookTooLarge,
)
from callguard.webhooks.event import LONGEST_CALL_ID, CallEvent, parse
from callguard.webhooks.receiving import LONGEST_BODY, EvidenceGate, read, receive
from callguard.webhooks.signature import SIGNATURE_HEADER, TOLERANCE, verify

__all__ = [
    "LONGEST_BODY",
    "LONGEST_CALL_ID",
    "SIGNATURE_HEADER",
    "TOLERANCE",
    "CallEvent",
    "EvidenceGate",
    "WebhookError",
    "WebhookForged",
    "WebhookMalformed",
    "WebhookReplayed",
    "WebhookTooLarge",
    "handler",
    "parse",
    "read",
    "receive",
    "verify",
]
