"""The provider's webhooks as evidence: checks each delivery, and reports it to the gate.

With aiohttp::

    app.router.add_post("/webhook", callguard.webhooks.handler(gate))

With any other framework, where `chunks` is the request's body as it comes in::

    body = await callguard.webhooks.read(chunks)
    callguard.webhooks.receive(gate, body, headers.get("x-retell-signature"))

`read` and `receive` raise one of these errors, and `handler` answers with its status. In each case
nothing was changed::

    WebhookError (a CallGuardError)
    ├── WebhookForged       401  not signed with the workspace's key
    ├── WebhookReplayed     401  signed too long ago, or by a clock too far ahead
    ├── WebhookTooLarge     413  longer than any delivery of the provider's
    └── WebhookMalformed    400  not in the provider's form

No delivery is remembered. The provider repeats deliveries that it believes lost and keeps no order,
so the gate takes evidence any number of times and in any order. A repeated delivery is accepted,
but changes nothing.
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
