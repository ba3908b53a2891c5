"""The states of calls, by the provider's answers to get-call and list-calls.

``GET /v2/get-call/{call_id}`` returns one call, and ``POST /v3/list-calls`` many. The provider
doesn't say whether a list shows calls that still ring; its filter by status has no value for them.
So a call that is not in a list may be in any state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from callguard.errors import LimitsMalformed

__all__ = [
    "LIST_PATH",
    "LONGEST_CALLS",
    "NOT_KNOWN",
    "REFUSED_REASON",
    "CallState",
    "call_path",
    "list_payload",
    "moment_in",
    "parse_call",
    "parse_list",
]

LIST_PATH: Final = "/v3/list-calls"

NOT_KNOWN: Final = frozenset({404, 422})
"""The statuses that get-call may answer for a call that was just placed, or never was; 422 is the
documented one (docs.retellai.com/api-references/get-call, read 2026-11-22)."""

LONGEST_CALLS: Final = 1024 * 1024
"""Bytes of an answer about calls that are read at most: ten milliseconds of parsing. A listed call
has no transcript (docs.retellai.com/api-references/list-calls_deprecated, read 2026-11-26)."""

_OVER: Final = frozenset({"ended", "not_connected", "error"})
"""The values of `call_status` (SDK 6.2.13) for a call that is over."""

_ANSWERED: Final = "ongoing"
_RINGING: Final = "registered"

REFUSED_REASON: Final = "concurrency_limit_reached"
"""The `disconnection_reason` (SDK 6.2.13) of a call for which there was no room."""

_LATEST: Final = 1e14
"""Milliseconds since 1970 that are taken for a moment, at most: up to the year 5138. Our choice."""


@dataclass(frozen=True, slots=True)
class CallState:
    """The state of one call; all False if its status is an unknown one.

    Attributes:
        answered: whether the call is going on and was answered.
        over: whether it is over.
        refused: whether that is because there was no room for it.
        ringing: whether it is neither answered nor over.
        answered_at, ended_at: when it was answered and when it was over by the provider's record,
            in seconds since 1970; None if not given.
    """

    answered: bool = False
    over: bool = False
    refused: bool = False
    ringing: bool = False
    answered_at: float | None = None
    ended_at: float | None = None


def call_path(call_id: str) -> str:
    """The path to ask for the call with the id `call_id`."""
    return f"/v2/get-call/{quote(call_id, safe='')}"


def list_payload(call_ids: Sequence[str]) -> Mapping[str, object]:
    """The body of a list-calls request for the calls with these ids (SDK 6.2.13)."""
    of_these = {"type": "enum", "op": "in", "value": list(call_ids)}
    return {"filter_criteria": {"call_id": of_these}, "limit": len(call_ids)}


def parse_call(body: bytes, call_id: str) -> CallState:
    """Parse the body of a get-call answer.

    Raises:
        LimitsMalformed: it is not a JSON object, or it is another call's.
    """
    call = _document(body)
    if not isinstance(call, dict) or call.get("call_id", call_id) != call_id:
        raise LimitsMalformed("the provider sent no JSON object for a call, or another call's")
    return _state(call)


def parse_list(body: bytes, call_ids: Sequence[str]) -> Mapping[str, CallState]:
    """Parse the body of a list-calls answer: the states of those calls that it has, by their ids.

    Anything else in it is ignored: other calls, and items that are no calls.

    Raises:
        LimitsMalformed: it is not a JSON object with a list of items.
    """
    document = _document(body)
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise LimitsMalformed("the provider sent no list of calls")
    asked = set(call_ids)
    return {
        call_id: _state(call)
        for call in items
        if isinstance(call, dict) and isinstance(call_id := call.get("call_id"), str)
        if call_id in asked
    }


def moment_in(call: Mapping[Any, object], stamp: str) -> float | None:
    """A timestamp of a call's record, in seconds since 1970; None if missing or impossible."""
    at = call.get(stamp)
    if isinstance(at, bool) or not isinstance(at, int | float):
        return None
    return at / 1000 if 0 <= at < _LATEST else None


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _state(call: Mapping[str, object]) -> CallState:
    status = call.get("call_status")
    over = isinstance(status, str) and status in _OVER
    return CallState(
        answered=status == _ANSWERED,
        over=over,
        refused=over and call.get("disconnection_reason") == REFUSED_REASON,
        ringing=status == _RINGING,
        answered_at=moment_in(call, "start_timestamp"),
        ended_at=moment_in(call, "end_timestamp") if over else None,
    )
