"""The signature, against the provider's own code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard import UsageError
from callguard.webhooks import WebhookError, WebhookForged, WebhookReplayed, verify
from tests.support.retell_sdk import webhook_auth
from tests.unit.webhooks.support import KEY, NOW, now, signed

SDK: Any = webhook_auth.symmetric
NOW_MS = int(NOW * 1000)
TOLERANCE_MS = 300_000
BODY = b'{"event":"call_ended","call":{"call_id":"call_1"}}'

# What can be encoded, because the SDK takes a body as text; and keys that can be sent in a header.
texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
near = st.one_of(
    st.integers(NOW_MS - TOLERANCE_MS, NOW_MS + TOLERANCE_MS),
    st.sampled_from([NOW_MS - TOLERANCE_MS, NOW_MS, NOW_MS + TOLERANCE_MS]),
)


def accepted(body: bytes, signature: str | None, key: str = KEY) -> bool:
    try:
        verify(body, signature, key, now=now)
    except WebhookError:
        return False
    return True


def accepted_by_the_sdk(body: str, signature: str, key: str = KEY) -> bool:
    return bool(SDK["verify"](body, key, signature, {"timestamp": NOW_MS}))


@given(body=texts, key=keys, at=near)
def test_what_the_sdk_signs_is_accepted(body: str, key: str, at: int) -> None:
    """A true delivery of the provider's would be refused."""
    assert accepted(body.encode(), SDK["sign"](body, key, at), key)


@given(body=texts, key=keys, at=near)
def test_what_the_simulator_signs_is_accepted_by_the_sdk(body: str, key: str, at: int) -> None:
    """The simulator's webhooks would be refused by whoever checks them as the provider says."""
    signature = signed(body.encode(), key=key, at=at / 1000)
    assert accepted_by_the_sdk(body, signature, key)
    assert accepted(body.encode(), signature, key)


def _flip(text: str, at: int) -> str:
    """Another text, which differs in one character."""
    place = at % len(text)
    other = "0" if text[place] != "0" else "1"
    return text[:place] + other + text[place + 1 :]


tampering: st.SearchStrategy[Callable[[str, str, str], tuple[str, str, str]]] = st.one_of(
    st.just(lambda body, signature, key: (body, signature, key)),
    st.integers(0, 999).map(lambda at: lambda b, s, k: (_flip(b or " ", at), s, k)),
    st.integers(0, 999).map(lambda at: lambda b, s, k: (b, _flip(s, at), k)),
    st.integers(0, 999).map(lambda at: lambda b, s, k: (b, s, _flip(k, at))),
    texts.map(lambda more: lambda b, s, k: (b + more, s, k)),
    st.sampled_from([" ", "\n", ",", "0"]).map(lambda more: lambda b, s, k: (b, s + more, k)),
    st.sampled_from(["v=0", "v= ", "v=-", "V="]).map(
        lambda start: lambda b, s, k: (b, start + s.removeprefix("v="), k)
    ),
    # A digit that moves from the time to the body leaves the signed bytes as they are.
    st.just(lambda b, s, k: (b + s[2], "v=" + s[3:], k)),
    st.just(lambda b, s, k: (b, s.upper(), k)),
)


@given(
    body=texts,
    at=near | st.integers(0, 10**15 - 1),
    tamper=tampering,
)
def test_both_agree_on_what_was_tampered_with(
    body: str, at: int, tamper: Callable[[str, str, str], tuple[str, str, str]]
) -> None:
    """A delivery would be believed here that the provider's own code refuses, or the reverse."""
    body, signature, key = tamper(body, SDK["sign"](body, KEY, at), KEY)
    assert accepted(body.encode(), signature, key) == accepted_by_the_sdk(body, signature, key)


@given(st.binary(), st.none() | st.text() | st.from_regex(r"v=\d+,d=[0-9a-f]{64}\n?"))
def test_no_other_error_than_callguards(body: bytes, signature: str | None) -> None:
    """A stranger could make the handler crash instead of refusing him."""
    with pytest.raises(WebhookError):
        verify(body, signature, KEY, now=now)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: None,
        lambda s: "",
        lambda s: s + "\n",
        lambda s: " " + s,
        lambda s: s.replace(",", ", "),
        lambda s: s.replace("v=", "v=+"),
        lambda s: s.replace("v=", "v=" + "0" * 20),
        lambda s: s.replace("v=", "v=" + "9" * 5000),
        lambda s: s.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)}),
        lambda s: re.sub("d=.*", lambda m: m[0].upper(), s),
        lambda s: s[:-1],
        lambda s: s + "0",
        lambda s: s.split(",")[0],
        lambda s: f"{s},{s}",
    ],
)
def test_other_forms_are_forged(spoil: Callable[[str], str | None]) -> None:
    """A header in another form than the published one would be taken, or crash the handler."""
    with pytest.raises(WebhookForged, match="form"):
        verify(BODY, spoil(signed(BODY)), KEY, now=now)


def test_the_bytes_are_checked_and_not_their_meaning() -> None:
    """JSON that was read and written again would be believed, and so would a body in disguise."""
    assert not accepted(BODY.replace(b":", b": "), signed(BODY))
    assert accepted(b"\xff\x00", signed(b"\xff\x00"))


@pytest.mark.parametrize(
    ("seconds", "fits"),
    [(0.0, True), (-300.0, True), (300.0, True), (-300.001, False), (300.001, False)],
)
def test_the_edges_of_the_tolerance(seconds: float, fits: bool) -> None:
    """A delivery would be too old earlier or later than with the provider's own code."""
    signature = signed(BODY, at=NOW + seconds)
    assert accepted(BODY, signature) == fits
    assert accepted_by_the_sdk(BODY.decode(), signature) == fits


def test_another_tolerance() -> None:
    """Whoever wants deliveries to be younger, or waits longer for them, could not say so."""
    signature = signed(BODY, at=NOW - 60.0)
    verify(BODY, signature, KEY, tolerance=60.0, now=now)
    with pytest.raises(WebhookReplayed, match=r"signed 60 s ago, 59 s are allowed"):
        verify(BODY, signature, KEY, tolerance=59.0, now=now)
    with pytest.raises(WebhookReplayed, match="ahead of this machine's clock"):
        verify(BODY, signed(BODY, at=NOW + 999.0), KEY, now=now)


def test_old_and_forged_is_forged() -> None:
    """A stranger's delivery would look like an old one of the provider's, or a slow clock."""
    with pytest.raises(WebhookForged, match="does not fit"):
        verify(BODY, signed(BODY, key="key_other", at=NOW - 999.0), KEY, now=now)


@pytest.mark.parametrize("tolerance", [float("nan"), float("inf"), -1.0])
def test_a_tolerance_that_would_let_everything_pass(tolerance: float) -> None:
    """A slip in the tolerance would switch the check of the age off in silence."""
    with pytest.raises(ValueError, match="tolerance"):
        verify(BODY, signed(BODY), KEY, tolerance=tolerance, now=now)


@pytest.mark.parametrize("key", [None, "", " key", "k\u00e9y"])
def test_a_key_is_needed(key: str | None) -> None:
    """Without a key everybody could sign: with the empty one."""
    with pytest.raises(UsageError):
        verify(BODY, signed(BODY, key=""), key, now=now)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key would have to be passed though it is set as for everything else."""
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    verify(BODY, signed(BODY), now=now)


def test_the_wall_clock_is_the_default() -> None:
    """Without a clock of the caller's, no delivery of today would be accepted."""
    verify(BODY, SDK["sign"](BODY.decode(), KEY), KEY)


@pytest.mark.parametrize("at", [NOW, NOW - 999.0])
def test_errors_hold_no_secret(at: float) -> None:
    """An answer or a log would show the key, or the signature that should have been sent."""
    right = signed(BODY, at=at)
    wrong = right if at != NOW else _flip(right, -1)
    with pytest.raises(WebhookError) as caught:
        verify(BODY, wrong, KEY, now=now)
    shown = f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert KEY not in shown
    assert right.partition("d=")[2][:8] not in shown
