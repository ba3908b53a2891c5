"""The token of ``callguard serve``, and the keys of the provider beside it."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.integration.serve_support import CREATE, KEY, LEAD, client, served, stub

TOKEN = "token_of_a_test"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"Authorization": f"Token {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}", "X-Callguard-Token": TOKEN},
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {TOKEN}")],
    ],
)
async def test_the_token_is_never_sent_to_the_provider(headers: Any) -> None:
    """A scraper with a slash too many would tell the provider the server's secret."""
    async with stub(key="") as provider, served(provider.url, token=TOKEN, api_key=KEY) as proxy:
        async with aiohttp.ClientSession(headers=headers) as session:
            for path in (
                "/metrics/",
                "//v1/status",
                "/healthz/",
                "/list-agents",
                "/create-batch-call",
            ):
                url = URL(proxy.url + path, encoded=True)
                async with session.post(url) as answer:
                    assert answer.status == 401
                    assert "X-Callguard-Token" in await answer.text()
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 401
        assert provider.requests == []
        assert provider.readings == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}_other", "X-Callguard-Token": TOKEN},
        {"Authorization": f"Bearer {KEY}"},
        {"X-Callguard-Token": TOKEN},
    ],
)
async def test_what_is_forwarded_has_the_token_beside_its_key_or_the_servers_own_key(
    headers: dict[str, str],
) -> None:
    """No client could use a server with a token."""
    async with stub() as provider, served(provider.url, token=TOKEN, api_key=KEY) as proxy:
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.get(proxy.url + "/list-agents") as answer:
                assert answer.status == 200
        (request,) = provider.requests
        assert request.headers.get("Authorization") == headers.get("Authorization")
        assert TOKEN not in str(request.headers)


async def test_a_token_that_is_the_servers_own_key_is_forwarded_as_the_key() -> None:
    """A server whose operator has one secret for both would forward nothing."""
    async with stub() as provider, served(provider.url, token=KEY, api_key=KEY) as proxy:
        async with client() as session:
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 201


async def test_a_key_that_the_provider_refuses_is_said_to_be_wrong() -> None:
    """A client with a wrong key would ask again and again, as in an outage."""
    async with stub() as provider, served(provider.url) as proxy, client("wrong") as session:
        for method, path in (("POST", "/v1/permits"), ("GET", "/v1/status")):
            async with session.request(method, proxy.url + path) as answer:
                assert answer.status == 401
                assert "Retry-After" not in answer.headers
        assert proxy.workspaces.open() == ()
