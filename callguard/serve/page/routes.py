"""The page over HTTP: ``/``, its updates, its buttons, and the form to sign in."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from callguard.errors import CallGuardError
from callguard.serve.access import open_to_all
from callguard.serve.page.desk import Desk, Watched
from callguard.serve.page.guarding import HEADERS, comes_from_here, is_asked_by_its_name
from callguard.serve.page.orders import ORDERS
from callguard.serve.page.rendering import Renderer
from callguard.serve.page.sessions import LASTS, Session, Sessions
from callguard.serve.page.settings import PageSettings
from callguard.serve.page.static import assets
from callguard.serve.page.trouble import Trouble
from callguard.serve.page.watching import Watching

__all__ = ["Pages"]

_SLOW: Final = 10.0
"""Seconds that a page may take to receive an update; it connects again by itself."""

_FORM: Final = "application/x-www-form-urlencoded"
"""How browsers send a form that names no other type (html.spec.whatwg.org, "enctype")."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Form:
    """A form that a page of this server has sent.

    Attributes:
        fields: its fields.
        session: whose it is.
    """

    fields: dict[str, str]
    session: Session


class Pages:
    """Answers what browsers ask.

    Args:
        desk: the workspaces.
        settings: how the page is protected.
        now: seconds since 1970.
    """

    def __init__(
        self, desk: Desk, settings: PageSettings, now: Callable[[], float] = time.time
    ) -> None:
        self._desk = desk
        self._settings = settings
        self._sessions = Sessions(settings.token, now)
        self._renderer = Renderer(read_only=settings.read_only)
        self._run = secrets.token_hex(4)
        self._watchings: dict[str, Watching] = {}
        self._watchers = 0

    def routes(self) -> Iterable[web.RouteDef]:
        """The routes of the page."""
        yield web.get("/", self._guarded(self._page), allow_head=False)
        yield web.get("/live", self._guarded(self._live), allow_head=False)
        for order in ORDERS:
            yield web.post(f"/{order}", self._guarded(self._obey))
        yield web.get("/drain", self._guarded(self._ask_to_drain), allow_head=False)
        yield web.post("/sign-in", self._guarded(self._sign_in))
        yield web.post("/sign-out", self._guarded(self._sign_out))
        yield web.get("/static/{name}", open_to_all(self._static), allow_head=False)

    async def aclose(self) -> None:
        """End the updates of all pages."""
        for watching in list(self._watchings.values()):
            await watching.aclose()

    # What is looked at ------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        if not self._may_look(session):
            session = session or self._sessions.new(signed_in=False)
            return self._sign_in_form(request, session, wrong=False)
        session = session or self._sessions.new(signed_in=False)
        async with self._desk.use(_workspace(request.query)) as watched:
            shown = await self._watching(watched).latest()
        html = self._renderer.page(
            shown.overview,
            shown.parts,
            csrf=self._sessions.csrf(session),
            signed_in=session.signed_in,
            run=self._run,
        )
        return self._with_session(request, _html(html), session)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if not self._may_look(self._session(request)):
            raise Trouble(401, "Sign in first", "the page's session is over")
        if self._watchers >= self._settings.max_watchers:
            most = self._settings.max_watchers
            raise Trouble(503, "Too many pages", f"{most} pages are open, and no more may be")
        response = web.StreamResponse(
            headers=HEADERS | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        self._watchers += 1
        try:
            async with self._desk.use(_workspace(request.query)) as watched:
                await self._send_updates(request, response, self._watching(watched))
        finally:
            self._watchers -= 1
        return response

    async def _send_updates(
        self, request: web.Request, response: web.StreamResponse, watching: Watching
    ) -> None:
        await response.prepare(request)
        updates = watching.updates()
        try:
            async for update in updates:
                async with asyncio.timeout(_SLOW):
                    await response.write(update)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            await updates.aclose()

    def _watching(self, watched: Watched) -> Watching:
        """The renderings of a workspace, which all who look at it share."""
        known = self._watchings.get(watched.id)
        if known is not None and known.watched == watched and not known.is_over:
            return known
        self._watchings = {key: each for key, each in self._watchings.items() if each.is_watched}
        self._watchings[watched.id] = Watching(watched, self._renderer, self._run)
        return self._watchings[watched.id]

    @staticmethod
    async def _static(request: web.Request) -> web.StreamResponse:
        asset = assets().get(request.path)
        if asset is None:
            raise web.HTTPNotFound
        headers = HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(
            body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers
        )

    # What is done -----------------------------------------------------------------------------

    async def _ask_to_drain(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        if not self._may_look(session):
            return web.Response(status=303, headers={"Location": "/"})
        self._refuse_if_read_only()
        session = session or self._sessions.new(signed_in=False)
        async with self._desk.use(_workspace(request.query)) as watched:
            view = (await self._watching(watched).latest()).overview
        html = self._renderer.other("drain", view=view, csrf=self._sessions.csrf(session))
        return self._with_session(request, _html(html), session)

    async def _obey(self, request: web.Request) -> web.StreamResponse:
        form = await self._form(request)
        if not self._may_look(form.session):
            raise Trouble(401, "Sign in first", "the page's session is over; sign in again")
        self._refuse_if_read_only()
        async with self._desk.use(_workspace(form.fields)) as watched:
            ORDERS[request.path.removeprefix("/")](watched, form.fields)
            self._watching(watched).look_again()
            location = request.rel_url.with_path("/").with_query(workspace=watched.id)
        return web.Response(status=303, headers={"Location": str(location)})

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await self._form(request)
        if not self._sessions.opens(form.fields.get("token", "")):
            return self._sign_in_form(request, form.session, wrong=True)
        response = web.Response(status=303, headers={"Location": "/"})
        return self._with_session(request, response, self._sessions.new(signed_in=True))

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        await self._form(request)
        response = web.Response(status=303, headers={"Location": "/"})
        return self._with_session(request, response, self._sessions.new(signed_in=False))

    async def _form(self, request: web.Request) -> _Form:
        """Read a form.

        Raises:
            Trouble: it was not sent by a page of this server, or can't be read.
        """
        if not comes_from_here(request):
            raise Trouble(403, "Not from here", "the form was sent by a page of another site")
        fields = await self._fields(request)
        session = self._session(request)
        if session is None or not self._sessions.is_from(session, fields.get("csrf", "")):
            raise Trouble(
                403,
                "The page was out of date",
                "nothing was done: callguard was started anew, or the session ended, since the "
                "page was loaded",
            )
        return _Form(fields, session)

    async def _fields(self, request: web.Request) -> dict[str, str]:
        if request.content_type != _FORM:
            raise Trouble(400, "No form of this page", f"its forms are sent as {_FORM}")
        seconds = self._settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                sent = await request.read()
        except TimeoutError:
            detail = f"the form did not come within {seconds:g} s"
            raise Trouble(408, "Too slow", detail) from None
        return dict(parse_qsl(sent.decode("utf-8", "replace"), keep_blank_values=True))

    # Who it is --------------------------------------------------------------------------------

    def _session(self, request: web.Request) -> Session | None:
        return self._sessions.read(request.cookies.get(_cookie(request)))

    def _may_look(self, session: Session | None) -> bool:
        return self._settings.token is None or (session is not None and session.signed_in)

    def _refuse_if_read_only(self) -> None:
        if self._settings.read_only:
            raise Trouble(403, "Read only", "this server was started to be looked at only")

    def _sign_in_form(
        self, request: web.Request, session: Session, *, wrong: bool
    ) -> web.StreamResponse:
        html = self._renderer.other("sign_in", csrf=self._sessions.csrf(session), wrong=wrong)
        response = _html(html, 403 if wrong else 200)
        return self._with_session(request, response, session)

    @staticmethod
    def _with_session(
        request: web.Request, response: web.Response, session: Session
    ) -> web.Response:
        name = _cookie(request)
        if request.cookies.get(name) != session.cookie:
            response.set_cookie(
                name,
                session.cookie,
                max_age=LASTS,
                httponly=True,
                samesite="Strict",
                secure=request.secure or _is_behind_tls(request),
            )
        return response

    def _guarded(self, handler: _Handler) -> _Handler:
        """The handler, behind what is true of all of the page, and with its trouble as a page."""

        @open_to_all
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._check_name(request)
                response = await handler(request)
            except Trouble as trouble:
                response = self._trouble(trouble)
            except CallGuardError as error:
                response = self._trouble(Trouble(409, "It can't be done", str(error)))
            if not response.prepared:
                response.headers.update(HEADERS)
            return response

        return guarded

    def _check_name(self, request: web.Request) -> None:
        if not is_asked_by_its_name(request, self._settings.host):
            raise Trouble(421, "Another server", "callguard doesn't answer to this name")

    def _trouble(self, trouble: Trouble) -> web.Response:
        html = self._renderer.other(
            "problem",
            title=trouble.title,
            detail=trouble.detail,
            workspaces=self._desk.open() if trouble.status == 404 else (),
        )
        return _html(html, trouble.status)


def _workspace(fields: Mapping[str, str]) -> str | None:
    """The id of the workspace that a request names, if it names one."""
    return fields.get("workspace") or None


def _is_behind_tls(request: web.Request) -> bool:
    """Whether a proxy says so; if it lies, the browser only keeps the cookie from plain HTTP."""
    return request.headers.get("X-Forwarded-Proto") == "https"


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def _cookie(request: web.Request) -> str:
    """The cookie's name; browsers send a cookie to all ports of a host, so it has the port."""
    return f"callguard-{request.url.port}"
