from __future__ import annotations

import math

import pytest

from callguard import UsageError
from callguard.fetcher import LimitFetcher, ProviderClient
from tests.unit.fetcher.leaks import KEY, assert_keyless


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the documented `RETELL_API_KEY` is not read."""
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    assert ProviderClient().url("/x") == "https://api.retellai.com/x"


@pytest.mark.parametrize("environment", [None, ""])
def test_no_key_is_a_usage_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    """If this fails, a missing key shows up only as a 401, or as an unclear error."""
    if environment is not None:
        monkeypatch.setenv("RETELL_API_KEY", environment)
    with pytest.raises(UsageError, match="set RETELL_API_KEY"):
        LimitFetcher()


def test_an_empty_key_does_not_fall_back_to_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If this fails, a workspace whose key got lost is read with another workspace's key."""
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    with pytest.raises(UsageError):
        LimitFetcher("")


@pytest.mark.parametrize(
    "key",
    [f"{KEY}\n", f" {KEY}", f"{KEY[:15]} {KEY[15:]}", f"{KEY}\r\nX: y", f"{KEY}\x00", f"{KEY}é"],
)
def test_a_key_that_no_header_can_carry_is_an_error_that_hides_it(key: str) -> None:
    """If this fails, a stray newline in a key breaks every request, or prints the key."""
    with pytest.raises(UsageError, match="copy it again") as caught:
        LimitFetcher(key)
    assert_keyless(caught.value)


def test_a_key_of_another_type_is_an_error_that_hides_it() -> None:
    """If this fails, bytes in the key's place are sent as their repr."""
    with pytest.raises(UsageError, match="not bytes") as caught:
        LimitFetcher(KEY.encode())  # type: ignore[arg-type]
    assert_keyless(caught.value)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://example.com", "https://example.com/get"),
        ("https://example.com/", "https://example.com/get"),
        ("https://example.com/retell/v1/", "https://example.com/retell/v1/get"),
        ("HTTPS://example.com:8443", "HTTPS://example.com:8443/get"),
        ("http://localhost:8000", "http://localhost:8000/get"),
        ("http://LOCALHOST", "http://LOCALHOST/get"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/get"),
        ("http://127.8.9.10", "http://127.8.9.10/get"),
        ("http://[::1]:8000", "http://[::1]:8000/get"),
    ],
)
def test_an_address_takes_a_path(base_url: str, url: str) -> None:
    """If this fails, a slash at the end or a path prefix leads to another address."""
    assert ProviderClient(KEY, base_url=base_url).url("/get") == url


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.retellai.com",
        "ftp://api.retellai.com",
        "https://",
        "https:///path",
        "https://api.retellai.com:port",
        "https://api.retellai.com:99999",
        "https://api.retellai.com/?",
        "https://api.retellai.com/?a=b",
        "https://api.retellai.com/#",
        "https://api.retellai.com/\n",
        "https://api.retell ai.com",
        "https://[::1",
        "https://user@api.retellai.com",
        f"https://user:{KEY}@api.retellai.com",
        f"https://{KEY}@api.retellai.com:port",
    ],
)
def test_an_address_that_can_not_work_is_refused(base_url: str) -> None:
    """If this fails, a wrong address is found out only at the first call, or shows a password."""
    with pytest.raises(UsageError, match="base_url") as caught:
        LimitFetcher(KEY, base_url=base_url)
    assert_keyless(caught.value)


@pytest.mark.parametrize(
    ("base_url", "got"),
    [
        ("localhost:18787", ", got 'localhost:18787'"),
        ("api.retellai.com", ", got 'api.retellai.com'"),
        ("10.0.0.1", ", got '10.0.0.1'"),
        (f"ftp://host:21/{KEY}/", ", got 'ftp://host:21/…'"),
        (KEY, ""),
        (f"x.{KEY}", ""),
        (f"user:{KEY}", ""),
        (f"ftp://user:{KEY}@host", ""),
        (f"ftp://user/{KEY}@host", ""),
        (f"ftp://host/?{KEY}", ""),
        (f"ftp://host#{KEY}", ""),
        ("14155550100", ""),
        ("415.555.0100", ""),
    ],
)
def test_an_address_without_its_scheme_is_shown_up_to_its_port(base_url: str, got: str) -> None:
    """If this fails, nobody sees what they typed, or an error shows a key in an address's place."""
    with pytest.raises(UsageError) as caught:
        LimitFetcher(KEY, base_url=base_url)
    must = "must begin with https:// (or http:// on this machine)"
    assert str(caught.value) == f"base_url {must}{got}"
    assert_keyless(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.retellai.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://[2001:db8::1]",
    ],
)
def test_plain_http_goes_to_another_machine_only_when_asked_by_name(base_url: str) -> None:
    """If this fails, the key travels over the network unencrypted."""
    with pytest.raises(UsageError, match="allow_plain_http"):
        LimitFetcher(KEY, base_url=base_url)
    LimitFetcher(KEY, base_url=base_url, allow_plain_http=True)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, `RETELL_BASE_URL` is not read, or goes above an argument."""
    monkeypatch.setenv("RETELL_BASE_URL", "https://eu.example.com/")
    assert ProviderClient(KEY).url("/x") == "https://eu.example.com/x"
    assert ProviderClient(KEY, base_url="https://us.example.com").url("/x").startswith("https://us")
    monkeypatch.setenv("RETELL_BASE_URL", "")
    assert ProviderClient(KEY).url("/x") == "https://api.retellai.com/x"


def test_the_address_of_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a variable can send the key over the network unencrypted."""
    monkeypatch.setenv("RETELL_BASE_URL", "http://api.retellai.com")
    with pytest.raises(UsageError, match="allow_plain_http"):
        LimitFetcher(KEY)


@pytest.mark.parametrize("name", ["ttl", "timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1.5, math.inf, -math.inf, math.nan])
def test_a_time_out_of_range_is_named(name: str, value: float) -> None:
    """If this fails, a time that can't work is accepted, or the error doesn't say which it was."""
    with pytest.raises(ValueError, match=rf"{name} .*{value!r}"):
        LimitFetcher(KEY, **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["1", None, True])
def test_a_time_that_is_no_number_is_named(value: object) -> None:
    """If this fails, a time of the wrong type breaks in the middle of a reading."""
    with pytest.raises(TypeError, match=f"ttl .*{value!r}"):
        LimitFetcher(KEY, ttl=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1])
def test_too_few_attempts_are_named(value: int) -> None:
    """If this fails, a reading without an attempt is one of as many as the deadline allows."""
    with pytest.raises(ValueError, match=rf"attempts .*{value!r}"):
        LimitFetcher(KEY, attempts=value)
