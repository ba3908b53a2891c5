"""The page over HTTP: who may look, who may act, and what is refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from callguard.errors import GateClosed
from callguard.serve.page.settings import PageSettings
from callguard.serve.page.static import address, assets
from tests.integration.serve_support import KEY, LEAD, Proxy, client, served, stub
from tests.support.overviews import busy, empty, hostile
from tests.support.page_server import OnShow, Showcase, serving

TOKEN = "a-token-of-the-server"
ELSEWHERE = PageSettings(host=None, token=TOKEN)


class Visitor:
    """A browser without a screen: keeps cookies, and sends the forms of the page it is on."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def csrf(self, path: str = "/") -> str:
        _, html = await self.get(path)
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', html)
        assert found is not None
        return found[1]

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> tuple[int, str]:
        async with self.session.post(
            self.url + path, data=dict(fields), headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def visiting(
    shown: OnShow | Showcase | None = None, settings: PageSettings | None = None, **more: Any
) -> AsyncIterator[Visitor]:
    jar = aiohttp.CookieJar(unsafe=True)  # of an address without a name
    async with serving(shown, settings, **more) as url, aiohttp.ClientSession(cookie_jar=jar) as s:
        yield Visitor(s, url)


async def test_the_page_and_its_files_are_there() -> None:
    """The page would have no style, or a browser would keep an old one for ever."""
    async with visiting() as visitor:
        status, html = await visitor.get()
        assert status == 200
        for name in ("page.css", "page.js", "icon.svg"):
            assert address(name) in html
            async with visitor.session.get(visitor.url + address(name)) as answer:
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert await answer.read() == assets()[address(name)].body
        assert (await visitor.get("/static/page.000000000000.css"))[0] == 404
        assert (await visitor.get("/static/..%2frouting.py"))[0] == 404


async def test_every_answer_has_the_headers_that_keep_others_out() -> None:
    """Another site could frame the page, or its own code could run on it."""
    async with visiting(OnShow(hostile())) as visitor:
        for path in ("/", "/drain", "/?workspace=unknown"):
            async with visitor.session.get(visitor.url + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[", "10.0.0.1"])
async def test_on_loopback_only_names_of_this_machine_are_answered(host: str) -> None:
    """A site whose name points to 127.0.0.1 would read the page in its visitor's browser."""
    async with visiting() as visitor:
        for path in ("/", "/live", "/drain"):
            status, html = await visitor.get(path, Host=host)
            assert status == 421 if host else status in {400, 421}
            assert "16 of 20" not in html
        assert (await visitor.post("/pause", {}, Host=host))[0] in {400, 421}


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:a", "a:b:c", "[", "[::1"])
@pytest.mark.parametrize("settings", [PageSettings(), ELSEWHERE])
async def test_a_name_that_can_not_be_read_is_none_of_ours(
    host: str, settings: PageSettings
) -> None:
    """Any bytes would be an error of the server."""
    async with visiting(settings=settings) as visitor:
        assert (await visitor.get("/", Host=host))[0] == 421
        assert (await visitor.post("/sign-in", {}, Host=host))[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:80", "[::1]:80"])
async def test_the_names_of_this_machine_are_answered(host: str) -> None:
    """An operator could not open the page by the name that everybody uses."""
    async with visiting() as visitor:
        assert (await visitor.get("/", Host=host))[0] == 200


async def test_buttons_pause_resume_and_drain() -> None:
    """An operator would press a button, and nothing would happen."""
    shown = OnShow(busy())
    async with visiting(shown) as visitor:
        form = {"csrf": await visitor.csrf(), "workspace": shown.id}
        scopes = {"all": "[null, null]", "lane": '["bulk", null]', "trunk": '[null, "twilio"]'}
        for scope in scopes.values():
            status, _ = await visitor.post("/pause", form | {"scope": scope, "reason": " storm "})
            assert status == 303
        assert (await visitor.post("/resume", form | {"scope": scopes["lane"]}))[0] == 303
        assert shown.orders == [
            ("pause", None, None, "storm"),
            ("pause", "bulk", None, "storm"),
            ("pause", None, "twilio", "storm"),
            ("resume", "bulk", None),
        ]
        html = (await visitor.get("/drain"))[1]
        assert "Drain this gate?" in html
        assert shown.orders[-1] != ("drain",)
        status, _ = await visitor.post("/drain", {"csrf": await visitor.csrf("/drain")})
        assert status == 303
        assert shown.orders[-1] == ("drain",)
        assert "Draining" in (await visitor.get())[1]


@pytest.mark.parametrize(
    ("headers", "csrf", "status"),
    [
        ({"Origin": "https://evil.example"}, True, 403),
        ({"Origin": "null"}, True, 403),
        ({"Origin": "http://["}, True, 403),
        ({"Sec-Fetch-Site": "cross-site"}, True, 403),
        ({"Sec-Fetch-Site": "same-site"}, True, 403),
        ({"Sec-Fetch-Site": "none"}, True, 403),
        ({"Sec-Fetch-Site": "same-origin"}, False, 403),
        ({}, False, 403),
        ({"Sec-Fetch-Site": "same-origin"}, True, 303),
        ({}, True, 303),
    ],
)
async def test_a_form_of_another_site_does_nothing(
    headers: dict[str, str], csrf: bool, status: int
) -> None:
    """A page that an operator visits would pause the campaign, or drain it."""
    shown = OnShow(busy())
    async with visiting(shown) as visitor:
        token = await visitor.csrf()
        fields = {"csrf": token if csrf else "0" * 64}
        for order in ("pause", "resume", "drain"):
            assert (await visitor.post(f"/{order}", fields, **headers))[0] == status
        assert bool(shown.orders) is (status == 303)
        if status == 403:
            visitor.session.cookie_jar.clear()
            assert (await visitor.post("/pause", {"csrf": token}))[0] == 403
            assert not shown.orders


async def test_the_cookie_is_for_this_site_and_no_script() -> None:
    """A script or another site would get hold of a session."""
    async with visiting() as visitor, visitor.session.get(visitor.url) as answer:
        cookie = answer.headers["Set-Cookie"]
        port = visitor.url.rpartition(":")[2]
        assert cookie.startswith(f"callguard-{port}=")
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie


@pytest.mark.parametrize("scope", ["", "[", "[1, 2]", "{}", '["a"]', "null", "[" * 100_000])
async def test_a_form_that_is_none_of_ours_is_refused(scope: str) -> None:
    """Any bytes would pause everything, or be an error of the server."""
    shown = OnShow(busy())
    async with visiting(shown) as visitor:
        form = {"csrf": await visitor.csrf(), "scope": scope}
        assert (await visitor.post("/pause", form))[0] == 400
        assert not shown.orders


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=a", 400),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded; charset=foo", 403),  # it has no session
        ("application/x-www-form-urlencoded", 403),
    ],
)
async def test_a_form_that_can_not_be_read_is_refused(kind: str, status: int) -> None:
    """Any bytes would be an error of the server."""
    shown = OnShow(busy())
    async with visiting(shown) as visitor, aiohttp.ClientSession() as session:
        pause, headers = f"{visitor.url}/pause", {"Content-Type": kind}
        async with session.post(pause, data=b"csrf=%ff\xff&csrf", headers=headers) as answer:
            assert answer.status == status
        assert not shown.orders


async def test_a_page_to_be_looked_at_only_refuses_all_orders() -> None:
    """Whoever makes the request by hand would pause a campaign that he may only look at."""
    shown = OnShow(busy())
    async with visiting(shown, PageSettings(read_only=True)) as visitor:
        async with serving(shown) as other:
            csrf = await Visitor(visitor.session, other).csrf()
        assert (await visitor.get())[0] == 200
        for order in ("pause", "resume", "drain"):
            assert (await visitor.post(f"/{order}", {"csrf": csrf}))[0] == 403
        assert (await visitor.get("/drain"))[0] == 403
        assert not shown.orders


async def test_without_the_token_nothing_is_shown_and_nothing_done() -> None:
    """Anybody in the network would see the campaign, or stop it."""
    shown = OnShow(busy())
    async with visiting(shown, ELSEWHERE) as visitor:
        status, html = await visitor.get("/", Host="dialer.example")
        assert status == 200
        assert "The server's token" in html
        assert shown.id not in html
        assert (await visitor.get("/live"))[0] == 401
        csrf = await visitor.csrf()
        assert "Drain this gate?" not in (await visitor.get("/drain"))[1]
        for order in ("pause", "resume", "drain"):
            assert (await visitor.post(f"/{order}", {"csrf": csrf}))[0] == 401
        assert shown.looked == 0
        assert not shown.orders


async def test_the_token_opens_the_page_until_one_signs_out() -> None:
    """Nobody could sign in, or never out; or the cookie would hold the token."""
    shown = OnShow(busy())
    async with visiting(shown, ELSEWHERE) as visitor:
        csrf = await visitor.csrf()
        status, html = await visitor.post("/sign-in", {"csrf": csrf, "token": "a guess"})
        assert status == 403
        assert "not the token" in html
        assert "a guess" not in html
        assert (await visitor.post("/sign-in", {"csrf": "0", "token": TOKEN}))[0] == 403
        assert (await visitor.post("/sign-in", {"csrf": csrf, "token": TOKEN}))[0] == 303
        status, html = await visitor.get()
        assert "16</span>" in html
        assert TOKEN not in html
        assert all(TOKEN not in cookie.value for cookie in visitor.session.cookie_jar)
        csrf = await visitor.csrf()
        assert (await visitor.post("/pause", {"csrf": csrf}))[0] == 303
        assert (await visitor.post("/sign-out", {"csrf": csrf}))[0] == 303
        assert "The server's token" in (await visitor.get())[1]


async def test_updates_come_as_events() -> None:
    """The page would stand still."""
    shown = OnShow(busy())
    async with visiting(shown) as visitor:
        async with visitor.session.get(visitor.url + "/live") as answer:
            assert answer.status == 200
            assert answer.content_type == "text/event-stream"
            assert answer.headers["Cache-Control"] == "no-store"
            assert (await answer.content.readline()).startswith(b'data: {"run": ')


async def test_so_many_pages_and_no_more() -> None:
    """Pages that were forgotten in tabs would use up the server."""
    async with visiting(settings=PageSettings(max_watchers=1)) as visitor:
        async with visitor.session.get(visitor.url + "/live") as answer:
            await answer.content.readline()
            status, html = await visitor.get("/live")
            assert status == 503
            assert "1 pages are open" in html


async def test_a_workspace_is_open_while_it_is_looked_at_and_no_longer() -> None:
    """A gate would be closed under the eyes of an operator, or never."""
    showcase = Showcase(OnShow(busy()))
    async with visiting(showcase) as visitor:
        async with visitor.session.get(visitor.url + "/live") as answer:
            await answer.content.readline()
            assert showcase.in_use == 1
        await visitor.get()
        assert showcase.in_use <= 1
    assert showcase.in_use == 0


async def test_each_workspace_has_its_page() -> None:
    """An operator would pause the campaign of another workspace."""
    first, second = OnShow(busy()), OnShow(hostile())
    async with visiting(Showcase(first, second)) as visitor:
        status, html = await visitor.get("/?workspace=nobody")
        assert status == 404
        assert first.id in html
        form = {"csrf": await visitor.csrf(), "workspace": second.id}
        assert (await visitor.post("/pause", form))[0] == 303
        assert not first.orders
        assert second.orders


async def test_what_a_gate_refuses_is_said_in_words() -> None:
    """An operator would see a blank page instead of why a pause did not work."""

    class Refusing(OnShow):
        def pause(self, lane: str | None, trunk: str | None, reason: str) -> None:
            raise GateClosed("the gate is closed")

    shown = Refusing(empty())
    async with visiting(shown) as visitor:
        status, html = await visitor.post("/pause", {"csrf": await visitor.csrf()})
        assert status == 409
        assert "the gate is closed" in html


@asynccontextmanager
async def on_a_server(**settings: Any) -> AsyncIterator[tuple[Visitor, Proxy]]:
    """The page of a whole server, in front of a provider."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        stub(limit=23, count=4) as provider,
        served(provider.url, **settings) as proxy,
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        yield Visitor(session, proxy.url), proxy


async def test_a_server_shows_its_gate_and_steers_it() -> None:
    """The page would show everything but the gate that the server has."""
    async with on_a_server(api_key=KEY) as (visitor, proxy):
        async with client() as dialer:
            async with dialer.post(f"{proxy.url}/v2/create-phone-call", json=LEAD) as answer:
                assert answer.status == 201
        html = (await visitor.get())[1]
        assert "of 23 in use" in html
        assert KEY not in html
        csrf = await visitor.csrf()
        form = {"csrf": csrf, "scope": "[null, null]", "reason": "storm"}
        assert (await visitor.post("/pause", form))[0] == 303
        (workspace,) = proxy.workspaces.open()
        assert [pause.reason for pause in workspace.gate.statistics().pauses] == ["storm"]
        assert "Everything is paused" in (await visitor.get())[1]
        assert (await visitor.post("/resume", form))[0] == 303
        assert not workspace.gate.statistics().pauses
        status, html = await visitor.post("/pause", form | {"scope": '["nobody", null]'})
        assert status == 409
        assert "nobody" in html
        assert (await visitor.post("/drain", {"csrf": csrf}))[0] == 303
        assert "Draining" in (await visitor.get())[1]
        async with visitor.session.get(visitor.url + "/live") as answer:
            assert b"Draining" in await answer.content.readline()


async def test_a_server_without_a_key_shows_the_workspaces_that_are_open() -> None:
    """An operator of many workspaces would find none of them."""
    async with on_a_server() as (visitor, proxy):
        assert (await visitor.get())[0] == 404
        async with client() as dialer:
            async with dialer.post(f"{proxy.url}/v2/create-phone-call", json=LEAD) as answer:
                assert answer.status == 201
        (workspace,) = proxy.workspaces.open()
        assert f"/?workspace={workspace.id}" in (await visitor.get())[1]
        assert "of 23 in use" in (await visitor.get(f"/?workspace={workspace.id}"))[1]
        assert (await visitor.get("/?workspace=nobody"))[0] == 404


async def test_a_server_with_a_token_shows_its_page_to_those_who_have_it() -> None:
    """The token would keep everybody from the form that asks for it, or nobody from the page."""
    async with on_a_server(api_key=KEY, token=TOKEN) as (visitor, _):
        behind_tls = {"Host": "dialer.example", "X-Forwarded-Proto": "https"}
        async with visitor.session.get(visitor.url, headers=behind_tls) as answer:
            assert "The server's token" in await answer.text()
            assert "Secure" in answer.headers["Set-Cookie"]
        form = {"csrf": await visitor.csrf(), "token": TOKEN}
        assert (await visitor.get(address("page.css")))[0] == 200
        assert (await visitor.get("/live"))[0] == 401
        assert (await visitor.post("/sign-in", form))[0] == 303
        assert "in use" in (await visitor.get())[1]
        assert (await visitor.get("/v1/status"))[0] == 401


async def test_orders_by_another_method_go_nowhere() -> None:
    """A link would pause a campaign, or be forwarded to the provider."""
    async with on_a_server(api_key=KEY) as (visitor, _):
        for path in ("/pause", "/resume", "/sign-in"):
            assert (await visitor.get(path))[0] == 405
