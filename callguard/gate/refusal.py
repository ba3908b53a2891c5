"""Decides what a failed dial means: refused, not placed, or perhaps placed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from callguard.arguments import checked_callback
from callguard.gate.answers import Answer, Provider, answer_in
from callguard.showing import named
from callguard.strangers import log_failure

__all__ = ["UNDECIDED", "Judge", "Outcome", "Verdict", "is_transient"]

_TOO_MANY_REQUESTS: Final = 429
_NOT_DONE: Final = 400
_SERVER_FAULT: Final = 500

UNDECIDED: Final = frozenset({408, 409, 425})
"""Request Timeout, Conflict (as with another request in flight for the same idempotency key) and
Too Early: the request was not carried out now, but may have been before, or may be later."""

_BROKEN_CONNECTIONS = {
    "APIConnectionError",  # retell-sdk
    "TransportError",  # httpx
    "ClientConnectionError",  # aiohttp
    "ClientPayloadError",  # aiohttp
}

_SAYS_FULL: Final = "concurrency"
"""The word in every refusal for lack of room, whatever its status. The provider documents the
reason ``concurrency_limit_reached``, but not in which form a dial gets it."""

logger = logging.getLogger("callguard")


Outcome = Literal["refused", "not placed", "unknown"]
"""The meaning of a failed dial.

``"refused"``: there was no room. ``"not placed"``: there was another reason, which would be the
same at the next dial. ``"unknown"``: the call may be placed.
"""


class Verdict(NamedTuple):
    """The meaning of an exception from a dial.

    Attributes:
        outcome: what the exception means for the call.
        status: the HTTP status of the answer; None if there is none.
    """

    outcome: Outcome
    status: int | None


_UNKNOWN: Final = Verdict("unknown", None)


class Judge:
    """Decides what an exception from a dial means.

    Args:
        base_url: the provider's address.
        refused: a function that says whether an exception means that the provider refused the call,
            instead of a status of 429 in the provider's answer to the dial.

    Raises:
        TypeError: `refused` can't be called, or is a coroutine function.
    """

    def __init__(self, base_url: str, refused: Callable[[Exception], bool] | None = None) -> None:
        if refused is not None:
            checked_callback("refused", refused, "an exception")
        self._base_url = base_url
        self._provider = Provider(base_url)
        self._refused = refused
        self._has_warned = refused is not None

    def judge(self, error: BaseException) -> Verdict:
        """Decide what `error` means: only the provider's own definite answer proves anything.

        If the client had already made an attempt of unknown outcome, the answer proves nothing.
        """
        if not isinstance(error, Exception):
            return _UNKNOWN
        answer = answer_in(error)
        if self._refused is not None and self._asked(self._refused, error):
            return Verdict("refused", None if answer is None else answer.status)
        if answer is None or not _is_definite(answer.status):
            return _UNKNOWN
        return Verdict(self._read(answer), answer.status)

    def _read(self, answer: Answer) -> Outcome:
        full = answer.status == _TOO_MANY_REQUESTS or _SAYS_FULL in answer.text.lower()
        if not self._provider.was_asked_to_dial(answer):
            if full:
                self._warn(answer)
            return "unknown"
        if answer.again:
            return "unknown"
        if not full:
            return "not placed"
        return "refused" if self._refused is None else "unknown"

    def _asked(self, refused: Callable[[Exception], object], error: Exception) -> bool:
        try:
            said = refused(error)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001, it is logged
            log_failure(f"refused={named(refused)} failed on {type(error).__name__}", fault)
            return False
        if inspect.isawaitable(said):  # it would always count as true
            logger.error(
                "refused=%s returns an awaitable, where True or False is due", named(refused)
            )
            return False
        return bool(said)

    def _warn(self, answer: Answer) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "a status %d is not taken for a refusal: %s. Its call counts as placed; if that is "
            "wrong, say what a refusal is: open_gate(refused=...)",
            answer.status,
            "the exception tells no address"
            if answer.url is None
            else f"it doesn't answer a dial at {self._base_url}",
        )


def _is_definite(status: int) -> bool:
    return _NOT_DONE <= status < _SERVER_FAULT and status not in UNDECIDED


def is_transient(error: BaseException) -> bool:
    """Whether a dial that ended in `error` may have placed its call, and another may succeed.

    This is the case after a timeout, a broken connection, and certain statuses: the provider may
    send 500 and above after accepting the request. Errors of retell-sdk, httpx and aiohttp without
    a status are recognized by their names, so that none of the clients has to be installed.
    """
    answer = answer_in(error)
    if answer is not None and answer.status >= _NOT_DONE:
        return answer.status >= _SERVER_FAULT or answer.status in UNDECIDED
    if isinstance(error, OSError):  # TimeoutError and ConnectionError are among them
        return True
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(_BROKEN_CONNECTIONS)
