"""What the provider may answer, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard import Limits, LimitsMalformed

LEAST: dict[str, Any] = {"current_concurrency": 10, "concurrency_limit": 100}

PUBLISHED_EXAMPLE: dict[str, Any] = {
    **LEAST,
    "base_concurrency": 20,
    "purchased_concurrency": 80,
    "concurrency_purchase_limit": 100,
    "remaining_purchase_limit": 20,
    "concurrency_burst_enabled": True,
    "concurrency_burst_limit": 60,
}

NUMBERS = [
    "current_concurrency",
    "concurrency_limit",
    "reserved_inbound_concurrency",
    "concurrency_burst_limit",
    "base_concurrency",
    "purchased_concurrency",
    "concurrency_purchase_limit",
    "remaining_purchase_limit",
]


def test_the_published_example_is_read_whole() -> None:
    """The provider's own example would be refused, or a field of it lost."""
    assert Limits.parse(PUBLISHED_EXAMPLE) == Limits(
        current_concurrency=10,
        concurrency_limit=100,
        reserved_inbound_concurrency=0,
        concurrency_burst_enabled=True,
        concurrency_burst_limit=60,
        base_concurrency=20,
        purchased_concurrency=80,
        concurrency_purchase_limit=100,
        remaining_purchase_limit=20,
    )


@pytest.mark.parametrize("field", sorted(set(NUMBERS) | {"concurrency_burst_enabled"}))
@pytest.mark.parametrize("absent", [None, ...])
def test_only_the_count_and_the_limit_must_be_there(field: str, absent: object) -> None:
    """A field that may be missing would be required, or a needed one read as nothing."""
    payload = PUBLISHED_EXAMPLE | {field: None}
    if absent is ...:
        del payload[field]
    if field in LEAST:
        with pytest.raises(LimitsMalformed, match=field):
            Limits.parse(payload)
    else:
        assert not getattr(Limits.parse(payload), field)


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", [True, "20", "", 1.5, float("nan"), float("inf"), [], {}])
def test_a_number_of_the_wrong_kind_is_named_with_its_value(field: str, value: object) -> None:
    """A wrong type would be taken for a number of calls, or the error would not say which."""
    with pytest.raises(LimitsMalformed) as caught:
        Limits.parse(PUBLISHED_EXAMPLE | {field: value})
    assert field in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("current_concurrency", 2**32 - 1),
        ("current_concurrency", 2**63),
        ("current_concurrency", 2**64 - 1),
        ("current_concurrency", 1_000_001),
        ("current_concurrency", 1e300),
        ("concurrency_limit", 2**63),
        ("reserved_inbound_concurrency", 2**64 - 1),
        ("concurrency_burst_limit", 10**400),
    ],
)
def test_a_number_of_calls_that_can_not_be_is_malformed(field: str, value: float) -> None:
    """An unsigned counter that went below 0 would open a gate wide, or close it for good."""
    with pytest.raises(LimitsMalformed, match=f"{field} must be .* from 0 to"):
        Limits.parse(PUBLISHED_EXAMPLE | {field: value})


@pytest.mark.parametrize("field", NUMBERS[:4])
def test_a_negative_number_of_calls_is_refused(field: str) -> None:
    """A negative count would open room that is not there."""
    with pytest.raises(LimitsMalformed, match=f"{field} must be .* and is -1"):
        Limits.parse(PUBLISHED_EXAMPLE | {field: -1})


def test_a_negative_rest_of_the_purchase_limit_keeps_nobody_out() -> None:
    """A workspace that has bought more than it may would be unusable over an idle number."""
    limits = Limits.parse(PUBLISHED_EXAMPLE | {"remaining_purchase_limit": -5})
    assert limits.remaining_purchase_limit == -5


@pytest.mark.parametrize("value", [0, 1, "true", "", []])
def test_burst_is_on_only_if_it_is_true(value: object) -> None:
    """Something that is not true would switch on calls that cost extra."""
    with pytest.raises(LimitsMalformed, match="concurrency_burst_enabled"):
        Limits.parse(PUBLISHED_EXAMPLE | {"concurrency_burst_enabled": value})


def test_a_whole_number_written_as_a_float_is_a_whole_number() -> None:
    """JSON from a server that writes 20.0 for 20 would be refused."""
    limits = Limits.parse(LEAST | {"current_concurrency": 20.0})
    assert (limits.current_concurrency, type(limits.current_concurrency)) == (20, int)


def test_unknown_fields_are_ignored() -> None:
    """A field that the provider adds tomorrow would stop every call."""
    assert Limits.parse(LEAST | {"concurrency_moon_phase": "full"}) == Limits.parse(LEAST)


@pytest.mark.parametrize("payload", [None, [], "limits", 20, True])
def test_anything_but_an_object_is_malformed(payload: object) -> None:
    """A list or a number would crash instead of being refused."""
    with pytest.raises(LimitsMalformed, match="JSON object"):
        Limits.parse(payload)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b'{"current_concurrency": 1',
        b"\xff\xfe\x00",
        b"[" * 50_000,
        b'{"current_concurrency": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_body_that_is_not_json_is_malformed_and_shown_in_part(body: bytes) -> None:
    """A broken answer would crash, or fill the log."""
    with pytest.raises(LimitsMalformed) as caught:
        Limits.from_json(body)
    assert len(str(caught.value)) < 200


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(NUMBERS) | st.text(), inner)
        ),
    )
)
def test_nothing_but_malformed_comes_of_any_json(payload: object) -> None:
    """Some answer would raise an error that nobody catches."""
    body = json.dumps(payload).encode()
    try:
        limits = Limits.from_json(body)
    except LimitsMalformed:
        return
    assert limits.current_concurrency >= 0
    assert limits.concurrency_limit >= 0
