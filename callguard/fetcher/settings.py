"""Checks of a client's key, address and session, before anything is sent."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from callguard.errors import UsageError
from callguard.showing import shown, shown_host

__all__ = ["checked_api_key", "checked_base_url", "checked_session", "is_loopback"]

PRODUCTION_URL = "https://api.retellai.com"
"""The server of docs.retellai.com/api-references/get-concurrency, read 2026-11-22."""

_VISIBLE_ASCII = re.compile("[!-~]+")


def checked_api_key(api_key: str | None) -> str:
    """Return `api_key`, else the environment's `RETELL_API_KEY`.

    Raises:
        UsageError: there is no key, or it can't be sent in a header. The key is not shown.
    """
    key = os.environ.get("RETELL_API_KEY") if api_key is None else api_key
    if not key:
        raise UsageError(
            "no API key",
            missing="api_key",
            remedy="pass api_key, or set RETELL_API_KEY in the environment",
        )
    if not isinstance(key, str):
        raise UsageError(f"api_key must be text, not {type(key).__name__}")
    if not _VISIBLE_ASCII.fullmatch(key):
        raise UsageError(
            "the API key contains whitespace, control or non-ASCII characters, which no key has: "
            "copy it again from the provider's dashboard"
        )
    return key


def checked_base_url(base_url: str | None, *, allow_plain_http: bool) -> str:
    """Return `base_url`, else the environment's `RETELL_BASE_URL`, else the production server.

    Returns:
        The address without a slash at its end, so that a path can be appended.

    Raises:
        UsageError: the address can't be used. At most its host is shown; the rest may be secret.
    """
    given = os.environ.get("RETELL_BASE_URL") or PRODUCTION_URL if base_url is None else base_url
    parts = _split(given)
    if parts.scheme not in {"https", "http"}:
        got = shown_host(given)
        must = "must begin with https:// (or http:// on this machine)"
        raise _unusable(f"{must}, got {got}" if got else must)
    if not parts.hostname:
        raise _unusable("must name a host")
    if "@" in parts.netloc:
        must = "must hold no credentials"
        raise _unusable(must, missing="api_key", remedy="pass the key as api_key")
    if "?" in given or "#" in given:
        raise _unusable("must end with its path, without a query and a fragment")
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(parts.hostname)):
        raise _unusable(
            "is plain http to another machine, where anyone on the way can read the key",
            missing="allow_plain_http",
            remedy="use https, or pass allow_plain_http=True",
        )
    return given.rstrip("/")


def checked_session(session: object) -> None:
    """Check that `session` is None, or behaves like an aiohttp.ClientSession.

    Raises:
        TypeError: it is neither, say a client of httpx or requests, which look similar.
    """
    if session is None:
        return
    gets = callable(getattr(session, "get", None)) and not isinstance(session, type | Mapping)
    if not gets or type(session).__module__.partition(".")[0] in {"httpx", "requests", "retell"}:
        raise TypeError(
            f"session must be an aiohttp.ClientSession, got {shown(session)}: leave it out, and "
            "one is made"
        )


def _split(address: object) -> SplitResult:
    # urlsplit silently drops tabs and line breaks, so reject them first.
    if isinstance(address, str) and address.isprintable() and " " not in address:
        try:
            parts = urlsplit(address)
            _ = parts.port
        except ValueError:
            pass
        else:
            return parts
    raise _unusable(f"must be an address, such as {PRODUCTION_URL}")


def _unusable(problem: str, *, missing: str | None = None, remedy: str = "") -> UsageError:
    return UsageError(problem, subject="base_url", missing=missing, remedy=remedy)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
