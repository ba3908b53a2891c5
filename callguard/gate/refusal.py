"""Telling what a failed dial means: refused, perhaps placed, or neither."""

from __future__ import annotations

__all__ = ["outcome_is_unknown", "refused_by_status"]

_TOO_MANY_REQUESTS = 429
_SERVER_FAULT = 500

_BROKEN_CONNECTIONS = {
    "APIConnectionError",  # retell-sdk
    "TransportError",  # httpx
    "ClientConnectionError",  # aiohttp
    "ClientPayloadError",  # aiohttp
}


def refused_by_status(error: Exception) -> bool:
    """Whether `error` carries the HTTP status 429, as a provider's refusal of a call does.

    Looks at `error.status_code` (retell-sdk and most others), `error.status` (aiohttp) and
    `error.response.status_code` (httpx, requests).
    """
    return _TOO_MANY_REQUESTS in _statuses(error)


def outcome_is_unknown(error: BaseException) -> bool:
    """Whether a dial that ended in `error` may have placed its call.

    So it is after a timeout, a broken connection, and a status of 500 or above, which the provider
    may send after it has accepted the request. The errors of retell-sdk, httpx and aiohttp that
    say this are told by their names, so that none of them has to be installed.
    """
    if isinstance(error, OSError):  # TimeoutError and ConnectionError are among them
        return True
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(_BROKEN_CONNECTIONS) or any(
        isinstance(status, int) and status >= _SERVER_FAULT for status in _statuses(error)
    )


def _statuses(error: BaseException) -> tuple[object, ...]:
    return (
        getattr(error, "status_code", None),
        getattr(error, "status", None),
        getattr(getattr(error, "response", None), "status_code", None),
    )
