"""Telling what a failed dial means: refused, not placed, or perhaps placed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Final

from callguard.gate.answers import Answer, Provider, answer_in

__all__ = ["Judge", "is_transient"]

_TOO_MANY_REQUESTS: Final = 429
_NOT_DONE: Final = 400
_SERVER_FAULT: Final = 500

_UNDECIDED: Final = frozenset({408, 409, 425})
"""Request Timeout, Conflict (as with a request under way that has the same idempotency key) and Too
Early say that the request was not carried out now, and not that it wasn't before, or won't be."""

_BROKEN_CONNECTIONS = {
    "APIConnectionError",  # retell-sdk
    "TransportError",  # httpx
    "ClientConnectionError",  # aiohttp
    "ClientPayloadError",  # aiohttp
}

logger = logging.getLogger("callguard")


class Judge:
    """Says what an exception from a dial means.

    Args:
        base_url: the provider's address.
        refused: whether an exception means that the provider refused the call. None for a status
            of 429 in the provider's answer to the dial.

    Raises:
        TypeError: `refused` can't be called, or would have to be awaited.
    """

    def __init__(self, base_url: str, refused: Callable[[Exception], bool] | None = None) -> None:
        given: object = refused
        if given is not None and (not callable(given) or inspect.iscoroutinefunction(given)):
            raise TypeError(f"refused must be a plain function of an exception, got {given!r}")
        self._base_url = base_url
        self._provider = Provider(base_url)
        self._refused = refused
        self._has_warned = False

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the provider refused the call; where that can't be told, it may be placed."""
        if not isinstance(error, Exception):
            return False
        if self._refused is not None:
            return self._asked(self._refused, error)
        answer = answer_in(error)
        if answer is None or answer.status != _TOO_MANY_REQUESTS:
            return False
        if self._provider.was_asked_to_dial(answer):
            return not answer.again
        self._warn(answer)
        return False

    def _asked(self, refused: Callable[[Exception], object], error: Exception) -> bool:
        try:
            said = refused(error)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            logger.exception("refused=%r failed on %s", refused, type(error).__name__)
            return False
        if inspect.isawaitable(said):  # which is true, whatever it would come to
            logger.error("refused=%r returns an awaitable, where True or False is due", refused)
            return False
        return bool(said)

    def _warn(self, answer: Answer) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "a status 429 is not taken for a refusal: %s. Its call counts as placed; if that is "
            "wrong, say what a refusal is: open_gate(refused=...)",
            "the exception tells no address"
            if answer.url is None
            else f"it doesn't answer a dial at {self._base_url}",
        )


def is_transient(error: BaseException) -> bool:
    """Whether a dial that ended in `error` may have placed its call, and may fare better again.

    So it is after a timeout, a broken connection, and a status that says so: the provider may send
    500 and above after it has accepted the request. The errors of retell-sdk, httpx and aiohttp
    without a status are told by their names, so that none of them has to be installed.
    """
    answer = answer_in(error)
    if answer is not None and answer.status >= _NOT_DONE:
        return answer.status >= _SERVER_FAULT or answer.status in _UNDECIDED
    if isinstance(error, OSError):  # TimeoutError and ConnectionError are among them
        return True
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(_BROKEN_CONNECTIONS)
