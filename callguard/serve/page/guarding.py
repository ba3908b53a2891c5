"""What keeps other sites out of the page: headers, the name it is asked by, origins."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

__all__ = ["HEADERS", "comes_from_here", "is_asked_by_its_name"]

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of each answer of the page.

With the policy "no-referrer" browsers would send ``Origin: null`` with our own forms
(fetch.spec.whatwg.org, "append a request Origin header", read 2026-11-26).
"""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_asked_by_its_name(request: web.Request, host: str | None) -> bool:
    """Whether a request names this machine, or what the server listens on, and a port.

    A site whose name points to 127.0.0.1 would else read the page in its visitor's browser.

    Args:
        request: the request.
        host: see `PageSettings`.
    """
    try:
        name, _ = urlsplit(f"//{request.headers.get('Host', '')}").hostname, request.url.port
    except ValueError:
        return False
    return host is None or name in _LOOPBACK or name == host.strip("[]").lower()


def comes_from_here(request: web.Request) -> bool:
    """Whether a form was sent by a page of this server.

    Browsers say so; what says nothing is no browser, and has to know the form's token all the same.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("Host", "")
    except ValueError:
        return False
