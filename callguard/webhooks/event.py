"""The event of a delivery, and what it proves.

Names and fields are those of docs.retellai.com/features/webhook-overview, read 2026-11-22.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from callguard.fetcher.calls import REFUSED_REASON, moment_in
from callguard.webhooks.errors import WebhookMalformed

__all__ = ["LONGEST_CALL_ID", "CallEvent", "parse"]

LONGEST_CALL_ID: Final = 256
"""Characters of a call's id at most, to bound the memory for ids. The provider's ids have 37."""

_STARTED: Final = "call_started"
_ENDED: Final = frozenset({"call_ended", "call_analyzed"})


@dataclass(frozen=True, slots=True)
class CallEvent:
    """The event of one delivery.

    What it proves about a call's life follows from `event`. The call's own status is ignored: in
    the provider's sample of a ``call_ended`` it is ``registered``.

    Attributes:
        event: ``"call_started"``, ``"call_ended"``, ``"call_analyzed"``, or any other, since the
            provider has more and may add to them.
        call_id: the provider's id of the call; None for an event about something else, such as a
            chat, which proves nothing here.
        disconnection_reason: why the call is over, in the provider's words; None if not given.
        at: when the call was answered, or was over, by the provider's record: its
            ``start_timestamp`` or ``end_timestamp``, in seconds since 1970; None if not given.
    """

    event: str
    call_id: str | None
    disconnection_reason: str | None = None
    at: float | None = None

    @property
    def started(self) -> bool:
        """Whether it proves that the call was answered."""
        return self.event == _STARTED

    @property
    def ended(self) -> bool:
        """Whether it proves that the call is over; the analysis comes after the end."""
        return self.event in _ENDED

    @property
    def refused(self) -> bool:
        """Whether it proves that the call is over because the workspace was full."""
        return self.ended and self.disconnection_reason == REFUSED_REASON


def parse(body: bytes) -> CallEvent:
    """Parse the body of a delivery, which has to be verified first.

    Raises:
        WebhookMalformed: the body is not JSON, nested too deeply, not an object, or without an
            event's name; its call has no proper id; or an event of a call's life has no call.
    """
    match _document(body):
        case {"event": str(event), "call": {"call_id": str(call_id), **call}}:
            return CallEvent(event, _checked_id(call_id), _reason(call), _at(event, call))
        case {"event": str(event), **rest} if "call" not in rest and not _about_a_life(event):
            return CallEvent(event, None)
        case _:
            raise WebhookMalformed("the body is not an event with a call's id")


def _document(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise WebhookMalformed("the body is not a JSON document") from None


def _checked_id(call_id: str) -> str:
    if not 0 < len(call_id) <= LONGEST_CALL_ID or not call_id.isprintable():
        raise WebhookMalformed("the id of the call is empty, too long or not printable")
    return call_id


def _reason(call: dict[object, object]) -> str | None:
    reason = call.get("disconnection_reason")
    return reason if isinstance(reason, str) else None


def _at(event: str, call: dict[object, object]) -> float | None:
    return moment_in(call, "start_timestamp" if event == _STARTED else "end_timestamp")


def _about_a_life(event: str) -> bool:
    return event == _STARTED or event in _ENDED
