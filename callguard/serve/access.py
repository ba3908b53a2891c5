"""Access: who may ask what, and of which workspace."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from callguard.fetcher.settings import is_loopback
from callguard.ledger import workspace_hash
from callguard.serve.problems import Problem
from callguard.serve.settings import SETTINGS
from callguard.serve.workspaces import WORKSPACES, Workspace

__all__ = [
    "bearer",
    "guarded",
    "has_token",
    "open_to_all",
    "require_forwardable",
    "require_same_site",
    "using",
]

_TOKEN: Final = "X-Callguard-Token"  # noqa: S105 - the name of a header

H = TypeVar("H", bound=Handler)

_OPEN: Final[set[Handler]] = set()


def open_to_all(handler: H) -> H:
    """Mark a handler as one that needs no token, or that checks it by itself."""
    _OPEN.add(handler)
    return handler


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let nobody without the token reach a handler that isn't marked by `open_to_all`.

    Raises:
        Problem: the token is missing or wrong, or another site's page made the request.
    """
    if request.match_info.handler not in _OPEN:
        if not has_token(request):
            raise _unauthorized("send the server's token as `Authorization: Bearer …`")
        require_same_site(request)
    return await handler(request)


def has_token(request: web.Request) -> bool:
    """Whether a request has the server's token, or needs none because there is none."""
    token = request.app[SETTINGS].token
    if token is None:
        return True
    return any(_same(token, each) for each in (request.headers.get(_TOKEN), bearer(request)))


def require_forwardable(request: web.Request) -> None:
    """Refuse a request that may not be forwarded.

    It needs the token as X-Callguard-Token, which is not forwarded, or the key of the default
    workspace. Whatever is in `Authorization` goes to the provider, so the token must not be there.

    Raises:
        Problem: it has neither, or the provider would get the token.
    """
    token, key = request.app[SETTINGS].token, request.app[SETTINGS].api_key
    if token is None:
        return
    if not _same(token, key) and any(_same(token, each) for each in _authorizations(request)):
        raise Problem(
            401,
            "the server's token is in `Authorization`, which goes to the provider: send it as "
            "X-Callguard-Token, and the workspace's key as `Authorization: Bearer …`",
            kind="token",
        )
    if not (_same(token, request.headers.get(_TOKEN)) or _same(key, bearer(request))):
        raise _unauthorized(
            "requests from elsewhere need the server's own key, or its token as X-Callguard-Token"
        )


def require_same_site(request: web.Request) -> None:
    """Refuse a request that the page of another site made in somebody's browser.

    Where no token is needed, the address alone lets a browser on this machine in.

    Raises:
        Problem: another site made it, or a name that isn't this machine's led to it.
    """
    settings, origin = request.app[SETTINGS], request.headers.get("Origin")
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    except ValueError:  # one of them is no address
        host, foreign = "", True
    if foreign or request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise Problem(403, "another site's page may not ask this", kind="cross-site")
    if settings.token is None and is_loopback(settings.host) and not is_loopback(host):
        raise Problem(403, "ask for this by the address of this machine, not by another name")


def using(request: web.Request) -> AbstractAsyncContextManager[Workspace]:
    """Use the workspace that a request means.

    That is the one whose id it names by ``?workspace=``, else the one whose key it has, else the
    default one.

    Raises:
        Problem: there is no such workspace; raised here or at the entry.
        CallGuardError: the gate can't be opened; raised at the entry.
    """
    settings, workspaces = request.app[SETTINGS], request.app[WORKSPACES]
    named, key, default = request.query.get("workspace"), bearer(request), settings.api_key
    if named is not None and (default is None or named != workspace_hash(default)):
        return workspaces.use_open(named)
    if key is None or named is not None or _same(settings.token, key):
        key = default
    if key is None:
        raise Problem(
            404,
            "this server has no key of its own: set RETELL_API_KEY for it, or send the workspace's "
            "key as `Authorization: Bearer …`",
            kind="no-such-workspace",
        )
    return workspaces.use(key)


def bearer(request: web.Request) -> str | None:
    """The key or the token that a request bears; None if it has none."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def _authorizations(request: web.Request) -> Iterator[str]:
    """What may be a secret in the `Authorization` of a request, however it is written."""
    for value in request.headers.getall("Authorization", []):
        yield value
        yield value.partition(" ")[2].strip()


def _same(secret: str | None, said: str | None) -> bool:
    """Whether both are the same, in a time that doesn't tell where they differ."""
    if secret is None or said is None:
        return False
    return hmac.compare_digest(secret.encode(), said.encode("utf-8", "surrogateescape"))


def _unauthorized(advice: str) -> Problem:
    return Problem(401, f"the token is missing or wrong; {advice}", kind="token")
