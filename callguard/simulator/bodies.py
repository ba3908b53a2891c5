"""The bodies of requests and answers, in the provider's format.

Statuses, fields and messages are those of docs.retellai.com/api-references, read 2026-11-22. The
two bodies of a 401 were sent by a live account on 2026-08-24.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from callguard.simulator.faults import Fault
from callguard.simulator.provider_clock import SimulatedClock
from callguard.simulator.records import Call
from callguard.simulator.settings import WorkspaceSettings

__all__ = [
    "NO_AUTHORIZATION",
    "TOO_FAST",
    "Answer",
    "DialRequest",
    "described",
    "error",
    "half",
    "published",
    "spoilt",
]

_AGENT_ID: Final = "agent_simulated"
_BASE_LIMIT: Final = 20  # The free limit of an account: docs.retellai.com/deploy/concurrency.
_PURCHASE_LIMIT: Final = 100  # As in the provider's published example.
_MESSAGES: Final = {
    400: "Invalid request format, please check API reference.",
    401: "Invalid API Key.",
    422: "Cannot find requested asset under given api key.",
    429: "Account rate limited, please throttle your requests.",
    500: "An unexpected server error occurred.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is sent; `retry_after` is in seconds, None for no such header."""

    status: int
    body: bytes = b""
    retry_after: int | None = None

    @classmethod
    def of(cls, status: int, payload: Mapping[str, object]) -> Answer:
        """An answer with a JSON body."""
        return cls(status, json.dumps(payload).encode())

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the status and the body ask for."""
        headers = {"Content-Type": "application/json"} if self.body else {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers


@dataclass(frozen=True, slots=True)
class DialRequest:
    """The fields of a create-phone-call request that the simulator uses."""

    from_number: str
    to_number: str
    agent_id: str
    metadata: Mapping[str, object] | None
    idempotency_key: str | None

    @classmethod
    def parse(cls, body: bytes) -> DialRequest | None:
        """Parse a request's body; None if the format is invalid."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            return None
        match fields:
            case {"from_number": str(from_number), "to_number": str(to_number)}:
                agent_id = fields.get("override_agent_id", _AGENT_ID)
                metadata = fields.get("metadata")
                key = fields.get("idempotency_key")
            case _:
                return None
        if not (
            isinstance(agent_id, str)
            and isinstance(metadata, dict | None)
            and isinstance(key, str | None)
        ):
            return None
        return cls(from_number, to_number, agent_id, metadata, key)


def described(call: Call, clock: SimulatedClock) -> dict[str, object]:
    """The call in the provider's fields, with times in milliseconds by the provider's clock."""
    start = None if call.answered_at is None else clock.stamp(call.answered_at)
    end = None if call.ended_at is None else clock.stamp(call.ended_at)
    fields: dict[str, object] = {
        "call_id": call.call_id,
        "call_type": "phone_call",
        "agent_id": call.agent_id,
        "agent_version": 0,
        "call_status": call.status,
        "direction": call.direction,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "metadata": call.metadata,
        "start_timestamp": start,
        "end_timestamp": end,
        "duration_ms": None if start is None or end is None else end - start,
        "disconnection_reason": call.disconnection_reason,
    }
    return {name: value for name, value in fields.items() if value is not None}


def published(settings: WorkspaceSettings, reported: int) -> dict[str, object]:
    """The body of a ``GET /get-concurrency`` answer that reports `reported` calls."""
    limit, burst_limit = settings.limit, settings.burst_limit
    base = min(limit, _BASE_LIMIT)
    purchasable = max(limit - base, _PURCHASE_LIMIT)
    return {
        "current_concurrency": reported,
        "concurrency_limit": limit,
        "base_concurrency": base,
        "purchased_concurrency": limit - base,
        "concurrency_purchase_limit": purchasable,
        "remaining_purchase_limit": purchasable - (limit - base),
        "reserved_inbound_concurrency": settings.reserved_inbound,
        "concurrency_burst_enabled": burst_limit > 0,
        "concurrency_burst_limit": burst_limit,
    }


def error(status: int) -> Answer:
    """The provider's answer for an error status."""
    return Answer.of(status, {"status": "error", "message": _MESSAGES[status]})


NO_AUTHORIZATION: Final = Answer.of(401, {"error_message": "Authorization header required"})
"""The other body of a 401, for a request without the header."""


TOO_FAST: Final = Answer.of(
    429, {"status": "error", "message": "Calls per second exceeded, please throttle your requests."}
)
"""The answer to a dial above its trunk's rate. The provider doesn't publish its own."""


def spoilt(answer: Answer, fault: Fault | None) -> Answer:
    """The answer to send instead of `answer`; faults of the connection don't change it."""
    match fault:
        case "500":
            return error(500)
        case "429":
            return error(429)
        case "429-retry-after":
            return replace(error(429), retry_after=1)
        case "broken-json":
            return replace(answer, body=half(answer.body))
        case "wrong-types":
            fields = json.loads(answer.body)
            return Answer.of(answer.status, {name: str(value) for name, value in fields.items()})
        case _:
            return answer


def half(body: bytes) -> bytes:
    """The first half of the body, which is sent before the answer breaks off."""
    return body[: len(body) // 2]
