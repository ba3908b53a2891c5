"""``callguard serve`` and who may ask it what."""

from __future__ import annotations

import aiohttp
import pytest

from callguard.ledger import workspace_hash
from tests.integration.serve_support import KEY, served, stub

TOKEN = "token_of_a_test"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer token_of_a_tesT"}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 401),
        ({"Authorization": TOKEN}, 401),
        (
            {"Authorization": "Bearer \udcff".encode("utf-8", "surrogateescape").decode("latin1")},
            401,
        ),
        ({"X-Callguard-Token": ""}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"X-Callguard-Token": TOKEN}, 200),
        ({"X-Callguard-Token": TOKEN, "Authorization": f"Bearer {KEY}"}, 200),
    ],
)
async def test_with_a_token_nobody_asks_without_it(headers: dict[str, str], status: int) -> None:
    """Whoever reaches the port could see and pause the workspace."""
    async with stub() as provider, served(provider.url, token=TOKEN, api_key=KEY) as proxy:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{proxy.url}/v1/status", headers=headers) as answer:
                assert answer.status == status
                said = await answer.text()
                assert TOKEN not in said
                assert KEY not in said


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "rebound.test"},
        {"Origin": "http://["},
        {"Host": "["},
    ],
)
async def test_the_page_of_another_site_may_ask_nothing(headers: dict[str, str]) -> None:
    """A page that an operator looks at could pause the campaign through the operator's browser."""
    async with stub() as provider, served(provider.url, api_key=KEY) as proxy:
        async with aiohttp.ClientSession() as session:
            for method, path in (("GET", "/v1/status"), ("POST", "/v1/pause")):
                async with session.request(
                    method, proxy.url + path, json={}, headers=headers
                ) as answer:
                    assert answer.status == 403
        assert proxy.workspaces.open() == ()


async def test_a_workspace_is_the_one_that_is_named_or_whose_key_is_sent() -> None:
    """An operator would look at one workspace, and pause another."""
    other = KEY + "_other"
    async with stub() as provider, served(provider.url, api_key=KEY) as proxy:

        async def shown(query: str = "", key: str | None = None) -> str:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                async with session.get(f"{proxy.url}/v1/status{query}") as answer:
                    said = await answer.json(content_type=None)
                    return str(said.get("workspace", answer.status))

        default, theirs = workspace_hash(KEY), workspace_hash(other)
        assert await shown() == default
        assert await shown(f"?workspace={theirs}") == "404"
        assert await shown(key=other) == theirs
        assert await shown(f"?workspace={theirs}") == theirs
        assert await shown(f"?workspace={default}", key=other) == default


async def test_a_server_without_a_key_says_what_to_do() -> None:
    """An operator would see an error without a way out."""
    async with stub() as provider, served(provider.url) as proxy:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{proxy.url}/v1/status") as answer:
                assert answer.status == 404
                assert "RETELL_API_KEY" in await answer.text()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_load_balancer_asks_for_the_health_without_a_token(method: str) -> None:
    """A load balancer would take the server for dead."""
    async with stub() as provider, served(provider.url, token=TOKEN) as proxy:
        async with aiohttp.ClientSession() as session:
            async with session.request(method, f"{proxy.url}/healthz") as answer:
                assert answer.status == 200
