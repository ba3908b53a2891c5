"""The provider's limits, and a dated answer with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from callguard.errors import LimitsMalformed

__all__ = ["SURCHARGE", "Limits", "Snapshot"]

SURCHARGE: Final = 0.10
"""USD a minute, for the whole length of each call that began above the limit
(docs.retellai.com/deploy/concurrency, read 2026-11-22)."""

MOST_GOING: Final = 1_000_000
"""The highest possible count of calls: a thousand times the largest limit that is sold. An unsigned
counter that went below 0 exceeds it."""

MOST_ALLOWED: Final = 2**31 - 1
"""The highest possible limit; some services send it for "unlimited"."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A workspace's count of calls and its limits, under the provider's own field names.

    All numbers are calls. A field that the provider left out is None, and no decision uses such a
    field. Source: ``GET /get-concurrency``, docs.retellai.com/api-references/get-concurrency, read
    2026-11-22.

    Attributes:
        current_concurrency: calls going on in the workspace; the number is late, and may not
            include ringing calls.
        concurrency_limit: the normal limit.
        reserved_inbound_concurrency: normal slots reserved for inbound calls; 0 for none.
        concurrency_burst_enabled: whether calls may exceed the normal limit, at a surcharge.
        concurrency_burst_limit: the limit with burst; 0 if burst is off.
    """

    current_concurrency: int
    concurrency_limit: int
    reserved_inbound_concurrency: int = 0
    concurrency_burst_enabled: bool = False
    concurrency_burst_limit: int = 0
    base_concurrency: int | None = None
    purchased_concurrency: int | None = None
    concurrency_purchase_limit: int | None = None
    remaining_purchase_limit: int | None = None

    @classmethod
    def parse(cls, payload: object) -> Limits:
        """Parse limits from a decoded JSON body.

        The count and the limit are required. A missing or null burst or reservation means off.
        Fields that no decision uses must be whole numbers if present; unknown fields are ignored.

        Raises:
            LimitsMalformed: the payload is not an object, or a field can't be right; the message
                has the field and its value.
        """
        if not isinstance(payload, Mapping):
            raise LimitsMalformed(f"the limits are a JSON object, not {_shown(payload)}")
        return cls(
            current_concurrency=_count(payload, "current_concurrency", most=MOST_GOING),
            concurrency_limit=_count(payload, "concurrency_limit"),
            reserved_inbound_concurrency=_count(payload, "reserved_inbound_concurrency", 0),
            concurrency_burst_enabled=_flag(payload, "concurrency_burst_enabled"),
            concurrency_burst_limit=_count(payload, "concurrency_burst_limit", 0),
            base_concurrency=_optional_whole(payload, "base_concurrency"),
            purchased_concurrency=_optional_whole(payload, "purchased_concurrency"),
            concurrency_purchase_limit=_optional_whole(payload, "concurrency_purchase_limit"),
            remaining_purchase_limit=_optional_whole(payload, "remaining_purchase_limit"),
        )

    @classmethod
    def from_json(cls, body: bytes) -> Limits:
        """Parse limits from a response's body.

        Raises:
            LimitsMalformed: the body is not JSON, or `parse` rejects it.
        """
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise LimitsMalformed(
                f"the limits are not JSON ({type(error).__name__}): {_shown(body)}"
            ) from None
        return cls.parse(payload)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One dated answer of the counter.

    Its date is when its request began, because it proves nothing about calls placed later.

    Attributes:
        limits: the provider's answer.
        began: when the request began, in seconds on the event loop's clock.
        received: when the answer was received, on the same clock.
    """

    limits: Limits
    began: float
    received: float

    def aged(self, seconds: float) -> Snapshot:
        """The same snapshot, dated back by `seconds` for which the clock stood still."""
        return Snapshot(self.limits, self.began - seconds, self.received - seconds)


def _count(
    payload: Mapping[str, object],
    field: str,
    absent: int | None = None,
    *,
    most: int = MOST_ALLOWED,
) -> int:
    value = payload.get(field)
    if value is None and absent is not None:
        return absent
    number = _whole(value)
    if number is None or not 0 <= number <= most:
        raise _malformed(payload, field, f"a whole number of calls from 0 to {most}")
    return number


def _optional_whole(payload: Mapping[str, object], field: str) -> int | None:
    value = payload.get(field)
    if value is None:
        return None
    number = _whole(value)
    if number is None:
        raise _malformed(payload, field, "a whole number")
    return number


def _flag(payload: Mapping[str, object], field: str) -> bool:
    value = payload.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _malformed(payload, field, "true or false")
    return value


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def _malformed(payload: Mapping[str, object], field: str, expected: str) -> LimitsMalformed:
    found = _shown(payload[field]) if field in payload else "missing"
    return LimitsMalformed(f"{field} must be {expected}, and is {found}")


def _shown(value: object) -> str:
    """The value, cut to fit a log line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
