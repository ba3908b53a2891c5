from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest

from callguard import CallGuardError, LimitsMalformed, LimitsRejected, LimitsUnavailable, UsageError
from callguard.fetcher import ProviderClient
from callguard.fetcher.http import LONGEST_BODY
from tests.support.fake_network import FakeSession, Handler, Reply, after, hang, in_turn
from tests.support.virtual_time import run
from tests.unit.fetcher.leaks import KEY, assert_keyless

URL = "https://api.retellai.com/get-concurrency"


async def ask(handler: Handler, *, timeout: float = 5.0) -> bytes:
    client = ProviderClient(KEY, session=FakeSession(handler), timeout=timeout)
    return await client.get("/get-concurrency")


def fault_of(outcome: Reply | Exception | Handler) -> CallGuardError:
    with pytest.raises(CallGuardError) as caught:
        run(ask(in_turn(outcome)))
    return caught.value


def test_one_request_carries_the_key_and_asks_for_no_compression() -> None:
    """If this fails, the provider gets another request than the documented one."""
    session = FakeSession(in_turn(Reply(body=b"{}")))
    body = run(ProviderClient(KEY, session=session).get("/get-concurrency"))
    assert body == b"{}"
    [request] = session.requests
    assert (request.method, request.url) == ("GET", URL)
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "envelope",
    [
        {"status": "error", "message": "Invalid API Key."},
        {"error_message": "Invalid API Key."},
        {"message": None, "error_message": "Invalid API Key."},
    ],
)
def test_both_envelopes_of_a_401_are_understood(envelope: dict[str, object]) -> None:
    """If this fails, a wrong key is reported without the provider's own words."""
    error = fault_of(Reply.json(envelope, status=401))
    assert isinstance(error, LimitsRejected)
    assert error.status == 401
    assert str(error) == f"{URL} answered HTTP 401: Invalid API Key."


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"message": 7}', b"\xff\xfe", b"[" * 60_000]
)
def test_a_refusal_needs_no_envelope(body: bytes) -> None:
    """If this fails, a refusal in an unknown form crashes instead of being one."""
    error = fault_of(Reply(status=403, body=body))
    assert isinstance(error, LimitsRejected)
    assert str(error) == f"{URL} answered HTTP 403"


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422, 451, 499])
def test_a_refused_request_is_rejected(status: int) -> None:
    """If this fails, a request that will never work is taken for an outage."""
    error = fault_of(Reply(status=status))
    assert isinstance(error, LimitsRejected)
    assert error.status == status


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_a_transient_status_is_an_outage(status: int) -> None:
    """If this fails, a passing fault is taken for a refusal."""
    error = fault_of(Reply(status=status, headers={"retry-after": "7"}))
    assert isinstance(error, LimitsUnavailable)
    assert error.retry_after == 7.0
    assert error.status == status
    assert str(error) == f"{URL} answered HTTP {status}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_rejected(status: int) -> None:
    """If this fails, the key is carried to wherever an answer points."""
    error = fault_of(Reply(status=status, headers={"Location": f"https://evil.example/{KEY}"}))
    assert isinstance(error, LimitsRejected)
    assert error.status == status
    assert "no redirect is followed, here to https://evil.example/***" in str(error)


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_another_success_is_malformed(status: int) -> None:
    """If this fails, an answer that is no snapshot is taken for one."""
    assert isinstance(fault_of(Reply(status=status, body=b"{}")), LimitsMalformed)


def test_a_body_may_be_as_long_as_allowed() -> None:
    """If this fails, the limit on the body is off by one."""
    longest = b"x" * LONGEST_BODY
    assert run(ask(in_turn(Reply(body=longest)))) == longest
    error = fault_of(Reply(body=longest + b"x"))
    assert isinstance(error, LimitsMalformed)
    assert "more than 65536 bytes" in str(error)


def test_reading_stops_behind_the_longest_body() -> None:
    """If this fails, an endless body fills the memory."""
    endless = Reply(body=b"x" * (LONGEST_BODY + 1), fault=aiohttp.ClientPayloadError("read on"))
    assert isinstance(fault_of(endless), LimitsMalformed)


def test_a_compressed_body_is_malformed() -> None:
    """If this fails, a body that unfolds to any size is unfolded, or read as it is."""
    error = fault_of(Reply(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))
    assert isinstance(error, LimitsMalformed)
    assert "answered in gzip, unasked" in str(error)
    plain = Reply(body=b"{}", headers={"Content-Encoding": "Identity"})
    assert run(ask(in_turn(plain))) == b"{}"


def test_a_body_that_breaks_off_is_an_outage() -> None:
    """If this fails, half of an answer is read as one, or is not tried again."""
    error = fault_of(Reply(body=b'{"current', fault=aiohttp.ClientPayloadError("broke off")))
    assert isinstance(error, LimitsUnavailable)
    assert str(error) == f"{URL} gave no answer: ClientPayloadError: broke off"


def test_a_refusal_whose_body_breaks_off_is_still_one() -> None:
    """If this fails, a 401 over a bad connection is tried again and again."""
    error = fault_of(Reply(status=401, fault=aiohttp.ClientPayloadError("broke off")))
    assert isinstance(error, LimitsRejected)
    overloaded = Reply(503, headers={"Retry-After": "3"}, fault=aiohttp.ClientPayloadError())
    busy = fault_of(overloaded)
    assert isinstance(busy, LimitsUnavailable)
    assert busy.retry_after == 3.0


def test_no_answer_in_time_is_an_outage() -> None:
    """If this fails, a provider that hangs makes its callers hang."""

    async def main() -> float:
        with pytest.raises(LimitsUnavailable, match=r"gave no answer within 2.5 s"):
            await ask(hang, timeout=2.5)
        return asyncio.get_running_loop().time()

    assert run(main()) == 2.5


def test_an_answer_just_in_time_counts() -> None:
    """If this fails, the timeout is shorter than it says."""
    assert run(ask(after(2.4, Reply(body=b"{}")), timeout=2.5)) == b"{}"


def test_a_cancelled_request_is_cancelled() -> None:
    """If this fails, cancelling a request is mistaken for a fault of the network."""

    async def main() -> None:
        task = asyncio.create_task(ask(hang))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_a_closed_session_is_a_usage_error() -> None:
    """If this fails, using a closed session looks like an outage and is tried again."""

    async def main() -> None:
        session = FakeSession(hang)
        await session.close()
        with pytest.raises(UsageError, match="Session is closed"):
            await ProviderClient(KEY, session=session).get("/x")

    run(main())


def test_a_closed_client_asks_nothing_and_leaves_the_callers_session_open() -> None:
    """If this fails, closing the client closes a session that others use."""

    async def main() -> None:
        session = FakeSession(hang)
        client = ProviderClient(KEY, session=session)
        await client.aclose()
        await client.aclose()
        assert not session.closed
        with pytest.raises(UsageError, match="the client is closed"):
            await client.get("/x")
        assert session.requests == []

    run(main())


def test_a_strangers_text_is_made_harmless() -> None:
    """If this fails, an answer can forge log lines, or fill them."""
    message = "no\r\nINFO all is well \x1b[2J\u202egnp " + "x" * 1000
    error = fault_of(Reply.json({"message": message}, status=400))
    text = str(error).removeprefix(f"{URL} answered HTTP 400: ")
    assert text.startswith("no INFO all is well [2J gnp xxx")
    assert len(text) == 200
    assert text.endswith("...")


@pytest.mark.parametrize(
    "outcome",
    [
        Reply.json({"message": f"{KEY} is unknown"}, status=401),
        Reply.json({"message": "x" * 190 + KEY}, status=401),
        Reply.json({"error_message": f"Bearer {KEY}"}, status=503),
        Reply(status=302, headers={"Location": f"https://evil.example/?key={KEY}"}),
        Reply(body=b"", headers={"Content-Encoding": KEY}),
        Reply(body=b"", fault=ValueError(KEY)),
        aiohttp.ClientOSError(5, KEY),
        OSError(5, KEY),
        RuntimeError(KEY),
        KeyError(KEY),
    ],
)
def test_an_echoed_key_is_starred_out(outcome: Reply | Exception) -> None:
    """If this fails, a provider or a library that echoes the key puts it into a log."""
    error = fault_of(outcome)
    assert_keyless(error)
    assert "***" in str(error)


def test_what_the_network_raised_is_not_kept() -> None:
    """If this fails, what the network raised is kept as the error's context."""
    error = fault_of(aiohttp.ClientError("broken"))
    assert error.__cause__ is None
    assert error.__context__ is None


def test_the_repr_tells_the_address_and_not_the_key() -> None:
    """If this fails, a debugger's or a logger's repr shows the key."""
    shown = repr(ProviderClient(KEY))
    assert re.fullmatch(r"ProviderClient\(base_url='https://api.retellai.com'\)", shown)
