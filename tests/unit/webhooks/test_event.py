"""What a body says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.webhooks import LONGEST_CALL_ID, CallEvent, WebhookMalformed, parse
from tests.unit.webhooks.support import body_of

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["event", "call", "call_id", "disconnection_reason"]) | st.text(), inner
        )
    ),
)


@pytest.mark.parametrize(
    ("event", "reason", "proves"),
    [
        ("call_started", None, (True, False, False)),
        ("call_ended", None, (False, True, False)),
        ("call_ended", "user_hangup", (False, True, False)),
        ("call_ended", "concurrency_limit_reached", (False, True, True)),
        ("call_analyzed", "dial_no_answer", (False, True, False)),
        ("call_analyzed", "concurrency_limit_reached", (False, True, True)),
        ("call_ended", "a_reason_of_next_year", (False, True, False)),
        ("transcript_updated", None, (False, False, False)),
        ("transfer_ended", "concurrency_limit_reached", (False, False, False)),
        ("CALL_ENDED", None, (False, False, False)),
        ("", None, (False, False, False)),
    ],
)
def test_what_an_event_proves(
    event: str, reason: str | None, proves: tuple[bool, bool, bool]
) -> None:
    """A call would be taken for answered, over or refused without proof, or in spite of it."""
    parsed = parse(body_of(event, "call_1", disconnection_reason=reason))
    assert parsed == CallEvent(event, "call_1", reason)
    assert (parsed.started, parsed.ended, parsed.refused) == proves


def test_the_event_counts_and_not_the_status() -> None:
    """The provider's sample of a call that is over says that it is registered."""
    assert parse(body_of("call_ended", call_status="registered")).ended
    assert not parse(body_of("call_started", call_status="ended")).ended


def test_a_reason_that_is_no_text() -> None:
    """The end of a call would be refused for a field that it can do without."""
    assert parse(body_of("call_ended", disconnection_reason=7)) == CallEvent("call_ended", "call_1")


@pytest.mark.parametrize("event", ["chat_started", "chat_ended", "an_event_of_next_year"])
def test_events_about_something_else(event: str) -> None:
    """The provider would send its events about chats three times more, because they are refused."""
    parsed = parse(json.dumps({"event": event, "chat": {"chat_id": "chat_1"}}).encode())
    assert parsed == CallEvent(event, None)
    assert (parsed.started, parsed.ended, parsed.refused) == (False, False, False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"\x00",
        b"null",
        b"[]",
        b'"call_ended"',
        b"{}",
        b"NaN",
        b"9" * 5000,
        b"[" * 200_000,
        b'{"event": "call_ended"}',
        b'{"event": "call_analyzed", "chat": {}}',
        b'{"call": {"call_id": "call_1"}}',
        b'{"event": 1, "call": {"call_id": "call_1"}}',
        b'{"event": "call_ended", "call": null}',
        b'{"event": "call_ended", "call": ["call_1"]}',
        b'{"event": "call_ended", "call": {}}',
        b'{"event": "call_ended", "call": {"call_id": null}}',
        b'{"event": "call_ended", "call": {"call_id": ["call_1"]}}',
        b'{"event": "transcript_updated", "call": {}}',
        body_of("call_ended", ""),
        body_of("call_ended", "x" * (LONGEST_CALL_ID + 1)),
        body_of("call_ended", "call\n1"),
        body_of("call_ended", "call_\ud800"),
    ],
)
def test_malformed(body: bytes) -> None:
    """Something that is no event would reach the gate, or crash the handler."""
    with pytest.raises(WebhookMalformed):
        parse(body)


def test_the_longest_id() -> None:
    """An id would be refused that is just as long as it may be."""
    assert parse(body_of("call_ended", "x" * LONGEST_CALL_ID)).call_id == "x" * LONGEST_CALL_ID


@given(st.binary() | documents.map(lambda document: json.dumps(document).encode()))
def test_no_other_error_than_callguards(body: bytes) -> None:
    """A body that nobody thought of would crash the handler."""
    try:
        event = parse(body)
    except WebhookMalformed:
        return
    assert event.call_id is None or 0 < len(event.call_id) <= LONGEST_CALL_ID
    assert event.call_id is not None or not (event.started or event.ended)
