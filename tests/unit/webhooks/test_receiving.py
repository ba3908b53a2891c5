"""From a delivery to the gate, or not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from callguard import CallGuardError, UsageError
from callguard.webhooks import (
    LONGEST_BODY,
    WebhookError,
    WebhookForged,
    WebhookMalformed,
    WebhookReplayed,
    WebhookTooLarge,
    read,
    receive,
)
from tests.unit.webhooks.support import KEY, Witness, body_of, now, signed


def deliver(gate: Witness, body: bytes) -> None:
    receive(gate, body, signed(body), api_key=KEY, now=now)


def test_evidence_reaches_the_gate() -> None:
    """Evidence would not reach the gate, or reach it as something else."""
    gate = Witness()
    deliver(gate, body_of("call_started", "call_1"))
    deliver(gate, body_of("call_ended", "call_1", disconnection_reason="user_hangup"))
    deliver(gate, body_of("call_analyzed", "call_1", disconnection_reason="user_hangup"))
    deliver(gate, body_of("call_ended", "call_2", disconnection_reason="concurrency_limit_reached"))
    assert gate.notes == [
        ("started", "call_1", False),
        ("ended", "call_1", False),
        ("ended", "call_1", False),
        ("ended", "call_2", True),
    ]


def test_the_providers_records_reach_the_gate() -> None:
    """The gate could not see whether the counter is as late as was said."""
    gate = Witness()
    times = {"start_timestamp": 1_714_608_475_945, "end_timestamp": 1_714_608_491_736}
    for event in ("call_started", "call_ended", "call_analyzed"):
        deliver(gate, body_of(event, "call_1", **times))
    assert gate.recorded == [1_714_608_475.945, 1_714_608_491.736, 1_714_608_491.736]


@pytest.mark.parametrize("odd", [None, "1714608475945", True, -1, 1e300, [1]])
def test_a_record_that_is_no_time_is_none(odd: object) -> None:
    """The end of a call would be refused, or dated wrongly, for a field that it can do without."""
    gate = Witness()
    deliver(gate, body_of("call_ended", "call_1", end_timestamp=odd))
    assert gate.recorded == [None]


@pytest.mark.parametrize(
    "body",
    [
        body_of("transcript_updated"),
        body_of("transfer_ended"),
        b'{"event": "chat_ended", "chat": {}}',
    ],
)
def test_events_that_prove_nothing(body: bytes) -> None:
    """An event that has nothing to do with the count would change it, or be repeated for ever."""
    gate = Witness()
    deliver(gate, body)
    assert gate.notes == []


def test_a_repeated_delivery_is_accepted() -> None:
    """The provider would repeat again and again what it has delivered."""
    gate, body = Witness(), body_of("call_ended")
    first = receive(gate, body, signed(body), api_key=KEY, now=now)
    assert receive(gate, body, signed(body), api_key=KEY, now=now) == first
    assert len(set(gate.notes)) == 1


@pytest.mark.parametrize(
    ("body", "signature", "error", "status"),
    [
        (body_of("call_ended"), None, WebhookForged, 401),
        (body_of("call_ended"), signed(body_of("call_started")), WebhookForged, 401),
        (body_of("call_ended"), signed(body_of("call_ended"), key="k"), WebhookForged, 401),
        (body_of("call_ended"), signed(body_of("call_ended"), at=0), WebhookReplayed, 401),
        # Unsigned, because no digest is to be made of a body of any size.
        (b" " * LONGEST_BODY + b"1", None, WebhookTooLarge, 413),
        (b"{", signed(b"{"), WebhookMalformed, 400),
    ],
)
def test_a_bad_delivery_changes_nothing(
    body: bytes, signature: str | None, error: type[WebhookError], status: int
) -> None:
    """A stranger could lower the usage below the truth, or get another answer than is promised."""
    gate = Witness()
    with pytest.raises(error) as caught:
        receive(gate, body, signature, api_key=KEY, now=now)
    assert caught.value.status == status
    assert isinstance(caught.value, CallGuardError)
    assert gate.notes == []


def test_the_longest_body() -> None:
    """The end of the longest call would be refused for its transcript."""
    gate, event = Witness(), body_of("call_ended")
    deliver(gate, event + b" " * (LONGEST_BODY - len(event)))
    assert gate.notes == [("ended", "call_1", False)]


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key would have to be passed though it is set as for everything else."""
    gate, body = Witness(), body_of("call_ended")
    with pytest.raises(UsageError, match="RETELL_API_KEY"):
        receive(gate, body, signed(body), now=now)
    assert gate.notes == []
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    receive(gate, body, signed(body), now=now)
    assert gate.notes == [("ended", "call_1", False)]


async def test_reading_stops_at_the_bound() -> None:
    """A stranger could fill the memory with a body that never ends."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1024 * 1024)

    with pytest.raises(WebhookTooLarge):
        await read(endless())
    assert taken == LONGEST_BODY // (1024 * 1024) + 1


async def test_reading_to_the_end() -> None:
    """A body that comes in pieces would be cut, and its signature not fit."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b""
        yield b"two"

    assert await read(pieces()) == b"one two"
