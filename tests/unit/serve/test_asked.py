"""What a request that starts a call asks for."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from callguard.serve.asked import Asked
from callguard.serve.settings import SETTINGS, ServeSettings

PATH = "/v2/create-phone-call"


class _Content:
    """A body that is there at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def iter_any(self) -> Any:
        yield self._body


async def asked(
    headers: dict[str, str], *, wait: float | None = None, body: bytes = b"{}"
) -> Asked:
    """What a request asks of a server with this setting."""
    app = web.Application()
    app[SETTINGS] = ServeSettings(wait=wait)
    payload: Any = _Content(body)
    request = make_mocked_request("POST", PATH, headers, app=app, payload=payload)
    return await Asked.of(request, PATH)


@pytest.mark.parametrize("header", ["X-Stainless-Timeout", "x-stainless-read-timeout"])
@pytest.mark.parametrize(
    ("configured", "announced", "seconds"),
    [
        (None, None, 25.0),
        (None, "120", 90.0),
        (None, "600.0", 450.0),
        (None, "1.0", 0.75),
        (None, "36000", 3600.0),
        (300.0, None, 300.0),
        (300.0, "120", 90.0),
        (5.0, "120", 5.0),
        (None, "never", 25.0),
        (None, "0", 25.0),
        (None, "-5", 25.0),
        (None, "inf", 25.0),
        (None, "nan", 25.0),
    ],
)
async def test_a_request_waits_no_longer_than_its_client(
    header: str, configured: float | None, announced: str | None, seconds: float
) -> None:
    """A client would give up unanswered, or be sent away although it would wait longer."""
    headers = {} if announced is None else {header: announced}
    assert (await asked(headers, wait=configured)).wait == seconds


async def test_what_a_request_says_itself_comes_first() -> None:
    """A program that sets the wait for one call would not get it."""
    headers = {"X-Stainless-Timeout": "120", "X-Callguard-Wait": "600"}
    assert (await asked(headers, wait=5.0)).wait == 600.0


@pytest.mark.parametrize(
    ("body", "identity"),
    [
        (b'{"to_number": "+1", "idempotency_key": "mine"}', "mine"),
        (b'{"to_number": "+1"}', b'{"to_number": "+1"}'),
        (b'{"agent_id": "a"}', None),
    ],
)
async def test_a_call_is_known_again_by_its_key_or_by_the_number_that_it_calls(
    body: bytes, identity: str | bytes | None
) -> None:
    """Two calls would be taken for one, or a call that comes back for a new one."""
    assert (await asked({}, body=body)).identity == identity
