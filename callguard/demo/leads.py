"""The leads of the demo, and the placing of one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from callguard.simulator import Workspace

__all__ = [
    "BULK",
    "REFUSED",
    "URGENT",
    "Caller",
    "Lead",
    "dialled_once",
    "leads",
    "session_of",
    "share",
]

BULK: Final = "bulk"
URGENT: Final = "urgent"

REFUSED: Final = 429
"""The status with which a workspace refuses a call that doesn't fit."""

_URGENT_EVERY: Final = 5
_SECONDS_A_LEAD: Final = 3.0  # What a lead takes of a campaign at least: the limit's share of it.
_WAVES: Final = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Lead:
    """Somebody to call.

    Attributes:
        name: a name that is unique in the campaign.
        lane: ``"bulk"`` or ``"urgent"``.
        known_after: seconds into the campaign after which the lead can be called.
    """

    name: str
    lane: str
    known_after: float = 0.0


def leads(number: int, *, speed: float = 1.0) -> list[Lead]:
    """So many leads, of which every fifth is urgent.

    The bulk is known from the beginning. The urgent ones turn up in three waves, when the bulk
    has taken all the slots that it may; the time until then goes by so many times as fast.
    """
    return [_lead(index, number * _SECONDS_A_LEAD / speed) for index in range(number)]


def share(all_leads: Sequence[Lead], part: int, parts: int) -> list[Lead]:
    """Return the part number `part` of `parts`, from 0; each has its share of lanes and waves."""
    in_kinds = sorted(all_leads, key=lambda lead: (lead.lane, lead.known_after))
    return in_kinds[part::parts]


def dialled_once(call_ids: list[str], workspace: Workspace) -> int:
    """Count the leads with exactly one of these calls, by the workspace's own record."""
    records = [workspace.call(call_id) for call_id in call_ids]
    calls = Counter(call.to_number for call in records if call is not None)
    return sum(1 for number_of_calls in calls.values() if number_of_calls == 1)


def session_of(url: str, api_key: str) -> aiohttp.ClientSession:
    """Make a session with a workspace's address and key that raises for statuses of 400 and above.

    The caller has to enter it.
    """
    return aiohttp.ClientSession(
        url, headers={"Authorization": f"Bearer {api_key}"}, raise_for_status=True
    )


class Caller:
    """Places calls, one request each.

    Args:
        session: a session made by `session_of`.

    Attributes:
        call_ids: the ids of the calls placed so far.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.call_ids: list[str] = []

    async def call(self, lead: Lead, **fields: str) -> str:
        """Call `lead`, and return the call's id.

        Raises:
            aiohttp.ClientResponseError: the workspace refused, with a status of 429.
        """
        body = {"from_number": "+14155550100", "to_number": lead.name, **fields}
        async with self._session.post("/v2/create-phone-call", json=body) as response:
            call_id = str((await response.json())["call_id"])
        self.call_ids.append(call_id)
        return call_id


def _lead(index: int, seconds: float) -> Lead:
    name = f"+1212555{index:04}"
    if index % _URGENT_EVERY:
        return Lead(name, BULK)
    wave = _WAVES[index // _URGENT_EVERY % len(_WAVES)]
    return Lead(name, URGENT, known_after=wave * seconds)
