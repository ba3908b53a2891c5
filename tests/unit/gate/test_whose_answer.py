"""Whose 429 is a refusal of the call: the provider's own, to the dial, and nobody else's."""

from __future__ import annotations

import logging
import urllib.error
from email.message import Message
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
from urllib3 import HTTPResponse, Retry

from callguard import Permit
from callguard.gate.refusal import Judge
from callguard.testing import ScriptedSource
from tests.support.client_errors import CLIENTS, error_of
from tests.support.retell_sdk import exceptions as sdk
from tests.support.virtual_time import run
from tests.unit.gate.support import PROVIDER, opened

DIAL = "/v2/create-phone-call"


def says_refused(error: Exception, base_url: str = PROVIDER) -> bool:
    return Judge(base_url).judge(error).outcome == "refused"


@pytest.mark.parametrize("client", CLIENTS)
def test_another_services_429_after_the_dial_leaves_the_call_placed(client: str) -> None:
    """A busy CRM would give the slot of  live call to the next."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            busy = error_of(client, 429, "https://crm.test/leads")
            with pytest.raises(type(busy)):
                async with gate.admit():
                    raise busy
            statistics = gate.statistics()
            assert (statistics.usage.uncounted, statistics.refused) == (1, 0)
            assert gate.explain().admitted

    run(main())


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
def test_another_services_429_in_a_dial_is_not_dialled_again(client: str, idempotent: bool) -> None:
    """A lead would be called twice, under two keys, because a CRM was busy."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            busy = error_of(client, 429, "https://crm.test/leads")
            keys = []

            async def dial(permit: Permit) -> None:
                keys.append(permit.id)
                raise busy

            with pytest.raises(type(busy)):
                await gate.place(dial, idempotent=idempotent)
            assert len(keys) == 1
            assert gate.statistics().usage.uncounted == 1

    run(main())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("base_url", "address", "own"),
    [
        ("https://api.retellai.com", "https://api.retellai.com/v2", True),
        ("https://api.retellai.com", "https://API.RetellAI.com:443", True),
        ("https://api.retellai.com", "https://api.retellai.com.evil.test/v2", False),
        ("https://api.retellai.com", "https://api.retellai.com@evil.test/v2", False),
        ("https://api.retellai.com", "http://api.retellai.com/v2", False),
        ("https://api.retellai.com", "https://retellai.com/v2", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v2", True),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081/v2", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1/v2", False),
        ("http://[::1]:8080", "http://[::1]:8080/v2", True),
        ("https://gateway.test/voice-api", "https://gateway.test/voice-api/v2", True),
        ("https://gateway.test/voice-api", "https://gateway.test/voice-api-2", False),
        ("https://gateway.test/voice-api", "https://gateway.test/crm", False),
    ],
)
def test_the_providers_own_address_is_told_from_others(
    client: str, base_url: str, address: str, own: bool
) -> None:
    """A neighbour on the same machine, domain or gateway would speak for the provider."""
    assert says_refused(error_of(client, 429, f"{address}/create-phone-call"), base_url) is own


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "path", [DIAL, "/v3/create-web-call", "/v2/register-phone-call?a=b", "/call", "/"]
)
def test_each_way_to_place_a_call_can_be_refused(client: str, path: str) -> None:
    """A refused web call, or one through a provider with other paths, would hold its slot."""
    assert says_refused(error_of(client, 429, PROVIDER + path))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/get-call/call_1"),
        ("GET", "/get-concurrency"),
        ("POST", "/v2/stop-call/call_1"),
        ("POST", "/v3/list-calls"),
        ("POST", "/create-chat"),
        ("PATCH", "/v2/update-call/call_1"),
        ("DELETE", "/v2/delete-call/call_1"),
        ("GET", "/calls/call_1"),
    ],
)
def test_what_the_provider_says_of_other_matters_is_no_refusal(
    client: str, method: str, path: str
) -> None:
    """Looking at a call that was placed would give its slot back."""
    assert not says_refused(error_of(client, 429, PROVIDER + path, method))


def test_a_429_from_nobody_knows_where_is_no_refusal_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A slot would be given back on a guess; or a client of one's own would hold a slot at each
    refusal, and nobody would know why."""

    class Busy(Exception):
        status = 429

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            for _ in range(2):
                with pytest.raises(Busy):
                    async with gate.admit():
                        raise Busy
            assert gate.statistics().usage.uncounted == 2

    with caplog.at_level(logging.WARNING, logger="callguard"):
        run(main())
    (record,) = caplog.records
    assert record.getMessage() == (
        "a status 429 is not taken for a refusal: the exception tells no address. Its call counts "
        "as placed; if that is wrong, say what a refusal is: open_gate(refused=...)"
    )


def test_a_warning_about_another_service_tells_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log would hold what stands in a query: a key, or somebody's number."""
    url = "https://user:secret@crm.test/leads/+12137774445?token=secret"
    with caplog.at_level(logging.WARNING, logger="callguard"):
        assert not says_refused(error_of("requests", 429, url))
    assert PROVIDER in caplog.text
    assert "secret" not in caplog.text
    assert "1213777" not in caplog.text


def test_a_judge_that_was_given_decides_for_itself() -> None:
    """Who dials through a service of their own could not say what a refusal is."""
    own = error_of("httpx", 429, "https://dialler.test/call")
    judge = Judge(PROVIDER, lambda error: error is own)
    assert judge.judge(own) == ("refused", 429)
    assert judge.judge(error_of("httpx", 429, PROVIDER + DIAL)).outcome == "unknown"


@pytest.mark.parametrize("refused", [429, "429", True])
def test_a_judge_that_cant_be_called_is_refused_by_name(refused: Any) -> None:
    """A gate would find out at its first refusal, and hold its slot."""
    with pytest.raises(TypeError, match="refused must be a plain function"):
        Judge(PROVIDER, refused)


def test_a_judge_that_has_to_be_awaited_refuses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A coroutine is true, so that any exception would give the slot of  live call back."""

    async def refused(error: Exception) -> bool:
        return False

    asynchronous: Any = refused
    with pytest.raises(TypeError, match="refused must be a plain function"):
        Judge(PROVIDER, asynchronous)

    class Later:
        def __await__(self) -> Any:
            yield

    hidden: Any = lambda error: Later()  # noqa: E731
    with caplog.at_level(logging.ERROR, logger="callguard"):
        said = Judge(PROVIDER, hidden).judge(error_of("httpx", 429, PROVIDER + DIAL))
    assert said.outcome == "unknown"
    assert "returns an awaitable" in caplog.text


def test_a_429_after_the_sdks_own_retry_is_no_refusal() -> None:
    """The SDK dials again after a 500, which may have placed the call that the 429 disowns."""
    for attempt, refused in (("0", True), ("2", False)):
        headers = {"x-stainless-retry-count": attempt}
        request = httpx.Request("POST", PROVIDER + DIAL, headers=headers)
        error = sdk.RateLimitError("", response=httpx.Response(429, request=request), body=None)
        assert says_refused(error) is refused


def test_a_429_after_a_retry_below_requests_is_no_refusal() -> None:
    """An adapter that dials again after a 500 would have its first call disowned."""
    error = error_of("requests", 429, PROVIDER + DIAL)
    assert isinstance(error, requests.HTTPError)
    assert says_refused(error)
    once = Retry(3).increment("POST", DIAL, response=HTTPResponse(status=500))
    error.response.raw = HTTPResponse(status=429, retries=once)
    assert not says_refused(error)


def test_urllibs_errors_are_read_too() -> None:
    """A dialer without any client would have its refusals counted as placed."""
    error = urllib.error.HTTPError(PROVIDER + DIAL, 429, "Too Many Requests", Message(), None)
    assert says_refused(error)


class _Hostile(Exception):
    status_code = 429

    @property
    def request(self) -> object:
        raise RuntimeError("not set")

    @property
    def response(self) -> object:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        _Hostile(),
        httpx.ReadTimeout("no request"),
        httpx.HTTPStatusError("", request=None, response=httpx.Response(429)),  # type: ignore[arg-type]
        requests.HTTPError(),
        SimpleNamespace(status_code=429, url=b"\xff"),
        SimpleNamespace(status_code=429, url="http://[::"),
        SimpleNamespace(status_code=429, url="http://provider.test:port/"),
        SimpleNamespace(status_code="429", url=PROVIDER + DIAL),
        SimpleNamespace(status_code=429, url=PROVIDER + DIAL, request=SimpleNamespace(method=7)),
        ValueError(429),
    ],
)
def test_an_exception_that_cant_be_read_is_no_refusal(error: Any) -> None:
    """Leaving the block would raise something else than what happened, and keep the slot."""
    assert not says_refused(error if isinstance(error, Exception) else _carrying(error))


def _carrying(attributes: SimpleNamespace) -> Exception:
    error = Exception()
    vars(error).update(vars(attributes))
    return error
