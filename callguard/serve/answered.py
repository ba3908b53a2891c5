"""The provider's answer to a dial, and what it says of the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from callguard.fetcher.calls import REFUSED_REASON
from callguard.gate.refusal import UNDECIDED
from callguard.serve.forwarding import end_to_end

__all__ = ["DialAnswer", "DialRefused"]


@dataclass(frozen=True, slots=True)
class DialAnswer:
    """The provider's answer to a dial.

    Attributes:
        status: the HTTP status.
        reason: the phrase beside it.
        headers: the headers.
        body: the body as it came.
        call_id: the call's id; None if there is none.
        disconnection_reason: why the call is over; None if it isn't.
    """

    status: int
    reason: str | None
    headers: Mapping[str, str]
    body: bytes
    call_id: str | None
    disconnection_reason: str | None

    @classmethod
    def of(cls, answer: aiohttp.ClientResponse, body: bytes) -> DialAnswer:
        """The answer with this body."""
        call = _object(body)
        return cls(
            status=answer.status,
            reason=answer.reason,
            headers=end_to_end(answer.headers),
            body=body,
            call_id=call.get("call_id"),
            disconnection_reason=call.get("disconnection_reason"),
        )

    @property
    def is_ok(self) -> bool:
        """Whether its status is a success."""
        return 200 <= self.status < 300

    @property
    def placed(self) -> bool:
        """Whether it says that a call was placed."""
        return self.is_ok and self.disconnection_reason != REFUSED_REASON

    @property
    def is_in_doubt(self) -> bool:
        """Whether a call may have been placed, although it says none."""
        return self.status in UNDECIDED or not 400 <= self.status < 500

    def response(self) -> web.Response:
        """Return the same answer for the client."""
        return web.Response(
            status=self.status, reason=self.reason, headers=self.headers, body=self.body
        )


class DialRefused(Exception):
    """The provider's answer that is no success; the gate judges by these attributes what it means.

    Attributes:
        answer: the answer.
        status: its status.
        url: the address that answered.
        message: the text.
    """

    def __init__(self, answer: DialAnswer, url: str) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.status = answer.status
        self.url = url
        self.message = answer.body.decode("utf-8", "replace")


def _object(body: bytes) -> Mapping[str, str]:
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(call, dict):
        return {}
    return {name: value for name, value in call.items() if isinstance(value, str)}
