"""What an HTTP client's exception tells: which status came, and what was asked of whom.

It is read from attributes, so that no client has to be installed. Where it stands:

    retell-sdk   error.status_code, error.response, error.request, error.body
    httpx        error.response, error.request
    requests     error.response, error.request
    aiohttp      error.status, error.request_info, error.message
    urllib       error.status, error.url
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

__all__ = ["Answer", "Provider", "answer_in"]

_PORTS = {"https": 443, "http": 80}

_NAMES_AN_ACTION = re.compile(r"[a-z]+-[a-z-]+")
_PLACES_A_CALL = re.compile(r"(create|register)-[a-z]+-call")
"""As the provider's paths do: ``/v2/create-phone-call`` places a call, ``/v2/stop-call/…`` doesn't
(docs.retellai.com/api-references, read 2026-11-22)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer that a client turned into an exception.

    Attributes:
        status: its HTTP status.
        url: the address that answered; None where the exception doesn't tell.
        method: how it was asked, such as ``"POST"``; None where the exception doesn't tell.
        again: whether the client had sent the request before, with an outcome that is not told.
        text: what the answer says, as far as the exception has it.
    """

    status: int
    url: str | None
    method: str | None
    again: bool
    text: str


class Provider:
    """Whose answers count.

    Args:
        base_url: the provider's address, with a path prefix if it has one.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._origin = _origin(parts)
        self._prefix = parts.path.rstrip("/")

    def was_asked_to_dial(self, answer: Answer) -> bool:
        """Whether `answer` is this provider's to a request that places a call.

        Not so where another service answered, or this one about another matter: neither knows
        whether a call was placed. Who can't be told isn't the provider.
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
    """The answer that `error` stands for, or None where it tells of none, or can't be read."""
    try:
        return _read(error)
    except Exception:  # noqa: BLE001 - what a stranger's attributes raise is not what happened
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
    """Whether retell-sdk, or urllib3 below requests, had tried before.

    They do so after faults, and each of these may have placed the call.
    """
    headers = _first(error, "request.headers")
    attempt = headers.get("x-stainless-retry-count") if isinstance(headers, Mapping) else None
    return attempt not in {None, "0"} or bool(_first(error, "response.raw.retries.history"))


def _first(error: BaseException, *paths: str) -> object:
    """What stands at the first of these paths of attributes that lead anywhere."""
    found = (_look(error, path) for path in paths)
    return next((thing for thing in found if thing is not None), None)


def _look(thing: object, path: str) -> object:
    try:
        for name in path.split("."):
            thing = getattr(thing, name)
    except (AttributeError, RuntimeError):  # httpx raises the latter where there is no request
        return None
    return thing


def _origin(parts: SplitResult) -> tuple[str, int | None]:
    return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme)
