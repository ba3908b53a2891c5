"""Every exception that aiohttp and tenacity define, each ready to be raised."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Iterator
from types import ModuleType

import aiohttp
import aiohttp.client_exceptions
import aiohttp.http_exceptions
import tenacity
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.unit.fetcher.leaks import KEY

_URL = URL("https://api.retellai.com/get-concurrency")
_PLACE = ConnectionKey("api.retellai.com", 443, True, True, None, None, None)


def exception_classes() -> list[type[Exception]]:
    """All of them but warnings, which are not raised; sorted by name."""
    modules = [aiohttp, aiohttp.client_exceptions, aiohttp.http_exceptions, tenacity]
    found = {kind for module in modules for kind in _exceptions_of(module)}
    return sorted(found, key=lambda kind: kind.__name__)


def instance_of(kind: type[Exception]) -> Exception:
    """One that carries the key wherever the class has room for it."""
    for base, arguments in _ARGUMENTS.items():
        if issubclass(kind, base):
            return kind(*arguments)
    return kind(f"something about Bearer {KEY}")


def _exceptions_of(module: ModuleType) -> Iterator[type[Exception]]:
    names = {*vars(module), *getattr(module, "__all__", ())}
    for name in names:
        thing = getattr(module, name)
        if not inspect.isclass(thing) or thing.__module__.split(".")[0] not in _PACKAGES:
            continue
        if issubclass(thing, Exception) and not issubclass(thing, Warning):
            yield thing


def _request_info() -> aiohttp.RequestInfo:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {KEY}"}))
    return aiohttp.RequestInfo(_URL, "GET", headers, _URL)


def _failed_attempt() -> tenacity.Future:
    attempt = tenacity.Future(1)
    attempt.set_exception(ValueError(KEY))
    return attempt


_PACKAGES = {"aiohttp", "tenacity"}

_ARGUMENTS: dict[type[Exception], tuple[object, ...]] = {
    aiohttp.ClientResponseError: (_request_info(), ()),
    aiohttp.ClientConnectorCertificateError: (_PLACE, ssl.CertificateError(KEY)),
    aiohttp.client_exceptions.UnixClientConnectorError: ("/run/socket", _PLACE, OSError(111, KEY)),
    aiohttp.ClientConnectorError: (_PLACE, OSError(111, KEY)),
    aiohttp.ServerFingerprintMismatch: (b"expected", b"got", "api.retellai.com", 443),
    aiohttp.WebSocketError: (1002, KEY),
    aiohttp.http_exceptions.BadHttpMessage: (KEY,),
    aiohttp.http_exceptions.HttpProcessingError: (),
    tenacity.RetryError: (_failed_attempt(),),
}
"""What the constructors of a class and those below it take, most special classes first."""
