"""Whether somebody has called in, by the provider's list of calls."""

from __future__ import annotations

import json
from typing import Final

from callguard.errors import LimitsMalformed
from callguard.fetcher import ProviderClient
from callguard.fetcher.calls import LIST_PATH, LONGEST_CALLS

__all__ = ["has_inbound"]

_LISTED: Final = 100
"""Calls among which an inbound one is looked for, the latest first. Our own choice."""


async def has_inbound(client: ProviderClient) -> bool:
    """Whether an inbound call is going on.

    Raises:
        LimitsUnavailable: there was no answer.
        LimitsRejected: the provider refused to list calls.
        LimitsMalformed: the answer can't be right.
    """
    asked = {"limit": _LISTED, "sort_order": "descending"}
    body = await client.post(LIST_PATH, asked, longest=LONGEST_CALLS)
    try:
        calls = [(call["direction"], call["call_status"]) for call in _phone_calls(body)]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise LimitsMalformed("the provider sent no list of calls") from None
    return ("inbound", "ongoing") in calls


def _phone_calls(body: bytes) -> list[dict[str, object]]:
    """The listed calls that have a direction; a web call has none."""
    return [call for call in json.loads(body)["items"] if "direction" in call]
