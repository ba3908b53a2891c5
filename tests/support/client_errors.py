"""The exceptions that HTTP clients raise for a bad status, made without a network."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx
import requests
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.support.retell_sdk import exceptions as sdk

__all__ = ["CLIENTS", "error_of"]

CLIENTS = ("retell-sdk", "httpx", "aiohttp", "requests")


def error_of(client: str, status: int, url: str, method: str = "POST") -> Exception:
    """Make the exception that `client` raises for an answer with this status from `url`."""
    return _MAKERS[client](status, url, method)


def _retell(status: int, url: str, method: str) -> Exception:
    response = httpx.Response(status, request=httpx.Request(method, url))
    cls: Any = {
        400: sdk.BadRequestError,
        401: sdk.AuthenticationError,
        403: sdk.PermissionDeniedError,
        404: sdk.NotFoundError,
        409: sdk.ConflictError,
        422: sdk.UnprocessableEntityError,
        429: sdk.RateLimitError,
    }.get(status, sdk.InternalServerError if status >= 500 else sdk.APIStatusError)
    error: Exception = cls("", response=response, body=None)
    return error


def _httpx(status: int, url: str, method: str) -> Exception:
    request = httpx.Request(method, url)
    return httpx.HTTPStatusError(
        "", request=request, response=httpx.Response(status, request=request)
    )


def _aiohttp(status: int, url: str, method: str) -> Exception:
    info = aiohttp.RequestInfo(URL(url), method, CIMultiDictProxy(CIMultiDict[str]()), URL(url))
    return aiohttp.ClientResponseError(info, (), status=status)


def _requests(status: int, url: str, method: str) -> Exception:
    response = requests.Response()
    response.status_code, response.url = status, url
    response.request = requests.Request(method, url).prepare()
    return requests.HTTPError(response=response)


_MAKERS = {"retell-sdk": _retell, "httpx": _httpx, "aiohttp": _aiohttp, "requests": _requests}
