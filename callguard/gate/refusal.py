"""Telling a refusal by the provider from every other way in which a dial can fail."""

from __future__ import annotations

__all__ = ["refused_by_status"]

_TOO_MANY_REQUESTS = 429


def refused_by_status(error: Exception) -> bool:
    """Whether `error` carries the HTTP status 429, as a provider's refusal of a call does.

    Looks at `error.status_code` (retell-sdk and most others), `error.status` (aiohttp) and
    `error.response.status_code` (httpx, requests).
    """
    return _TOO_MANY_REQUESTS in (
        getattr(error, "status_code", None),
        getattr(error, "status", None),
        getattr(getattr(error, "response", None), "status_code", None),
    )
