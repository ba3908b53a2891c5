"""Reads an HTTP client's exception: the status of the answer, and the request it answers.

Only attributes are read, so no client has to be installed. These are the attributes:

    retell-sdk   error.status_code, error.response, error.request, error.body
    httpx        error.response, error.request
    requests     error.response, error.request
    aiohttp      error.status, error.request_info, error.message
    urllib       error.status, error.url
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

__all__ = ["Answer", "Provider", "answer_in"]

_PORTS = {"https": 443, "http": 80}

_NAMES_AN_ACTION = re.compile(r"[a-z]+-[a-z-]+")
_PLACES_A_CALL = re.compile(r"(create|register)-[a-z]+-call")
"""Patterns of the provider's paths: ``/v2/create-phone-call`` places a call, ``/v2/stop-call/…``
doesn't (docs.retellai.com/api-references, read 2026-11-22)."""


class Answer(NamedTuple):
    """The answer that a client turned into an exception.

    Attributes:
        status: the HTTP status.
        url: the address that answered; None if the exception doesn't have it.
        method: the request's method, such as ``"POST"``; None if the exception doesn't have it.
        again: whether the client had sent the request before, with an unknown outcome.
        text: the answer's text, as far as the exception has it.
    """

    status: int
    url: str | None
    method: str | None
    again: bool
    text: str


class Provider:
    """The provider, whose answers to dials are definite.

    Args:
        base_url: the provider's address, with a path prefix if it has one.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._origin = _origin(parts)
        self._prefix = parts.path.rstrip("/")

    def was_asked_to_dial(self, answer: Answer) -> bool:
        """Whether `answer` is this provider's answer to a request that places a call.

        An answer of another service, or to another request, doesn't show whether a call was placed.
        If it is unknown who answered, it isn't the provider.
        """
        try:
            parts = urlsplit(answer.url or "")
            origin = _origin(parts)
        except ValueError:
            return False
        if origin != self._origin or not f"{parts.path}/".startswith(f"{self._prefix}/"):
            return False
        actions = filter(_NAMES_AN_ACTION.fullmatch, parts.path[len(self._prefix) :].split("/"))
        return answer.method in {None, "POST"} and all(map(_PLACES_A_CALL.fullmatch, actions))


def answer_in(error: BaseException) -> Answer | None:
    """The answer that `error` stands for; None if it has none, or one that can't be read."""
    try:
        return _read(error)
    except Exception:  # noqa: BLE001 - foreign attributes may raise anything
        return None


def _read(error: BaseException) -> Answer | None:
    status = _first(error, "status_code", "status", "response.status_code")
    if not isinstance(status, int):
        return None
    url = _first(error, "response.url", "request_info.real_url", "request.url", "url")
    method = _first(error, "response.request.method", "request_info.method", "request.method")
    said = _first(error, "body", "response.text", "message")
    return Answer(
        status=status,
        url=None if url is None else str(url),
        method=None if method is None else str(method).upper(),
        again=_was_sent_before(error),
        text="" if said is None else str(said),
    )


def _was_sent_before(error: BaseException) -> bool:
    """Whether retell-sdk, or urllib3 below requests, had sent the request before.

    They retry after faults, and each earlier attempt may have placed the call.
    """
    headers = _first(error, "request.headers")
    attempt = headers.get("x-stainless-retry-count") if isinstance(headers, Mapping) else None
    return attempt not in {None, "0"} or bool(_first(error, "response.raw.retries.history"))


def _first(error: BaseException, *paths: str) -> object:
    """The value at the first of these paths of attributes that exists."""
    found = (_look(error, path) for path in paths)
    return next((thing for thing in found if thing is not None), None)


def _look(thing: object, path: str) -> object:
    try:
        for name in path.split("."):
            thing = getattr(thing, name)
    except (AttributeError, RuntimeError):  # httpx raises the latter if there is no request
        return None
    return thing


def _origin(parts: SplitResult) -> tuple[str, int | None]:
    return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
