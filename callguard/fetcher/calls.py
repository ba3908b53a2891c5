"""The state of one call, by the provider's ``GET /v2/get-call/{call_id}``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from callguard.errors import LimitsMalformed

__all__ = ["CallState", "call_path", "parse_call"]

_OVER: Final = frozenset({"ended", "not_connected", "error"})
"""The values of `call_status` (SDK 6.2.13) for a call that is over."""

_ANSWERED: Final = "ongoing"
_RINGING: Final = "registered"

REFUSED_REASON: Final = "concurrency_limit_reached"
"""The `disconnection_reason` (SDK 6.2.13) of a call for which there was no room."""


@dataclass(frozen=True, slots=True)
class CallState:
    """The state of one call; all False if its status is an unknown one."""

    answered: bool = False
    over: bool = False
    refused: bool = False
    ringing: bool = False


def call_path(call_id: str) -> str:
    """The path to ask for the call with the id `call_id`."""
    return f"/v2/get-call/{quote(call_id, safe='')}"


def parse_call(body: bytes) -> CallState:
    """Parse the body of a get-call answer.

    Raises:
        LimitsMalformed: it is not a JSON object.
    """
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict):
        raise LimitsMalformed("the provider sent no JSON object for a call")
    status = call.get("call_status")
    return CallState(
        answered=status == _ANSWERED,
        over=isinstance(status, str) and status in _OVER,
        refused=call.get("disconnection_reason") == REFUSED_REASON,
        ringing=status == _RINGING,
    )
