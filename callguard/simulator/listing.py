"""``POST /v3/list-calls``: many calls in one answer.

Fields are those of retell-sdk 6.2.13 (`call_list_params.py`, `call_list_response.py`). Of the
provider's filters only the one by ids is simulated; a request with another, or for a further page,
is refused, since an answer that ignored it would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from callguard.simulator.bodies import described
from callguard.simulator.provider_clock import SimulatedClock
from callguard.simulator.records import Call

__all__ = ["ListRequest"]

_MOST: Final = 1000
"""The highest `limit` that the provider takes."""

_LIMIT: Final = 50
"""The limit where a request has none: our own choice, since the reference has no default."""

_ORDERS: Final = ("ascending", "descending")
_KNOWN: Final = frozenset({"filter_criteria", "limit", "sort_order"})


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The fields of a list-calls request that the simulator uses.

    Attributes:
        call_ids: the ids of the calls that are asked for; None for every call.
        limit: calls in the answer, at most.
        newest_first: whether later calls come before earlier ones.
    """

    call_ids: tuple[str, ...] | None
    limit: int
    newest_first: bool

    @classmethod
    def parse(cls, body: bytes) -> ListRequest | None:
        """Parse a request's body; None if the format is invalid, or isn't simulated."""
        try:
            fields = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            return None
        if not isinstance(fields, dict) or not _KNOWN.issuperset(fields):
            return None
        limit, order = fields.get("limit", _LIMIT), fields.get("sort_order", "descending")
        if type(limit) is not int or not 1 <= limit <= _MOST:
            return None
        criteria = fields.get("filter_criteria", {})
        call_ids = None if criteria == {} else _ids_in(criteria)
        if order not in _ORDERS or not (criteria == {} or call_ids):
            return None
        return cls(call_ids, limit, order == "descending")

    def answer(
        self,
        call_of: Callable[[str], Call | None],
        calls: Callable[[], Iterable[Call]],
        *,
        clock: SimulatedClock,
        ringing: bool,
    ) -> Mapping[str, object]:
        """The body of the answer.

        Args:
            call_of: looks up a call by its id; None if there is no such call.
            calls: returns every call.
            clock: the clock of the calls' stamps.
            ringing: whether calls that still ring are listed.
        """
        if self.call_ids is None:
            found = list(calls())
        else:
            found = [call for each in self.call_ids if (call := call_of(each)) is not None]
        listed = [call for call in found if ringing or call.status != "registered"]
        listed.sort(key=lambda call: call.placed_at, reverse=self.newest_first)
        return {
            "items": [described(call, clock) for call in listed[: self.limit]],
            "has_more": len(listed) > self.limit,
        }


def _ids_in(criteria: object) -> tuple[str, ...] | None:
    """The ids of a filter by ids, each once; None if it is another filter."""
    match criteria:
        case {"call_id": {"type": "enum", "op": "in", "value": list(ids)}, **others} if not others:
            return tuple(dict.fromkeys(ids)) if all(isinstance(each, str) for each in ids) else None
    return None
