"""Answers of ``application/problem+json`` (RFC 9457), and the problems that errors stand for."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Final

from aiohttp import web

from callguard.decision import Decision
from callguard.errors import (
    AdmissionError,
    CallGuardError,
    GateClosed,
    LedgerUnavailable,
    LimitsError,
    LimitsRejected,
    UsageError,
)
from callguard.serve.permit_errors import PermitConflict, PermitError

__all__ = ["AGAIN_IN", "NOT_AGAIN", "Problem", "numbers", "problem_of"]

AGAIN_IN: Final = 5.0
"""Seconds after which a client is told to come back if nothing better is known. Our own choice."""

_LONGEST_RETRY_AFTER: Final = 60
"""Seconds. The provider's own client ignores a longer one (retell-sdk 6.2.13)."""

_THEIRS: Final = frozenset(each.value for each in HTTPStatus if 400 <= each < 500)
"""The statuses by which a request is to blame; a client doesn't send it again unchanged."""

NOT_AGAIN: Final = {"x-should-retry": "false"}
"""The header by which the provider's SDKs don't send a request again (retell-sdk 6.2.13)."""


class Problem(Exception):
    """The answer to a request that can't be carried out; a handler may raise it.

    Args:
        status: the HTTP status.
        detail: what happened, with which value, and what to do, in sentences.
        kind: the last part of the type ``urn:callguard:…``; None where the status says all.
        retry_after: seconds after which another attempt may succeed; None if it can't.
        numbers: further members of the JSON object.

    Attributes:
        is_safe_again: whether the provider's SDK may send the request again by itself.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str | None = None,
        retry_after: float | None = None,
        **numbers: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.retry_after = retry_after
        self.is_safe_again = True
        self.numbers = numbers

    def response(self) -> web.Response:
        """Return the answer."""
        members = {
            "type": "about:blank" if self.kind is None else f"urn:callguard:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.numbers,
        }
        headers = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            seconds = max(1, math.ceil(self.retry_after))
            headers["Retry-After"] = str(min(seconds, _LONGEST_RETRY_AFTER))
        if not self.is_safe_again:
            headers |= NOT_AGAIN
        return web.Response(
            status=self.status,
            body=json.dumps(members).encode(),
            content_type="application/problem+json",
            headers=headers,
        )


def problem_of(error: CallGuardError) -> Problem:
    """The problem that an error of the gate stands for; it never holds a secret."""
    match error:
        case AdmissionError():
            return Problem(
                429,
                str(error),
                kind="not-admitted",
                retry_after=_again_in(error),
                **numbers(error.decision),
            )
        case GateClosed():
            detail = "this server admits no more calls, because it stops; come back to the next one"
            return Problem(503, detail, kind="draining", retry_after=AGAIN_IN)
        case LimitsRejected():
            status = error.status if error.status in _THEIRS else HTTPStatus.UNAUTHORIZED
            return Problem(status, str(error), kind="rejected")
        case LimitsError() | LedgerUnavailable():
            return Problem(503, str(error), kind="unavailable", retry_after=AGAIN_IN)
        case PermitError():
            return _of_permit(error)
        case _:
            is_theirs = isinstance(error, UsageError)
            return Problem(
                400 if is_theirs else 500, _plain(error), kind="usage" if is_theirs else None
            )


def _plain(error: CallGuardError) -> str:
    """The error's message, but for a remedy, which is for programs in Python."""
    if isinstance(error, UsageError):
        return f"{error.subject} {error.problem}".lstrip()
    return str(error)


def _again_in(error: AdmissionError) -> float:
    """When to try again: not long before the caller's turn, since most try just a few times.

    After half of the estimate it is back in time, unless that is twice too long.
    """
    known = AGAIN_IN if error.retry_after is None else error.retry_after
    eta = error.decision.eta
    return known if eta is None else max(known, eta.p50 / 2.0)


def _of_permit(error: PermitError) -> Problem:
    again = AGAIN_IN if error.status == 429 else None
    state = {"state": error.state} if isinstance(error, PermitConflict) else {}
    return Problem(error.status, str(error), kind=error.kind, retry_after=again, **state)


def numbers(decision: Decision) -> dict[str, object]:
    """The numbers that a decision was made from, as members of a JSON object; unknown is null."""
    limits, ceilings, eta = decision.limits, decision.ceilings, decision.eta
    return {
        "constraint": decision.constraint,
        "lane": decision.lane.name,
        "trunk": decision.trunk,
        "limit": None if limits is None else limits.concurrency_limit,
        "usage": decision.usage.as_json(),
        "ceiling": None if ceilings is None else ceilings.highest,
        "headroom": decision.headroom,
        "lifts_in": decision.lifts_in,
        "eta": None if eta is None else {"p50": eta.p50, "p90": eta.p90},
    }
