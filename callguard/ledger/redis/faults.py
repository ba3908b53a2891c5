"""The conversion of redis-py's errors to callguard's."""

from __future__ import annotations

from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from callguard.errors import LedgerUnavailable

__all__ = ["FAULTS", "foreign", "is_final", "unavailable"]

FAULTS: Final = (RedisError, OSError)
"""The errors of a server that can't be reached, or fails; TimeoutError is among them."""

_REJECTIONS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)

_DENIED_IN_SCRIPT: Final = ("can't run this command", "can't access at least one of the keys")
"""Words of the answer if a script may not use a command or a key, which has no class of its own."""

_UNAUTHENTICATED: Final = "Protocol error: unauthenticated"
"""A server's answer to a command of more than 10 parts from a client without a password."""

_REPEATS_THE_COMMAND: Final = ", with args beginning with"
"""Words of an old server's answer after which the command follows, perhaps with the password."""


class _Foreign(LedgerUnavailable):
    """The ledger is of another release."""


def foreign(protocol: int) -> LedgerUnavailable:
    """The error for a ledger of another release."""
    return _Foreign(
        f"the ledger on this server is of protocol {protocol}, which this release of callguard "
        "doesn't speak: give all workers the same release, or the ledger another name"
    )


def is_final(fault: BaseException | None) -> bool:
    """Whether a retry can't help."""
    final = isinstance(fault, (*_REJECTIONS, _Foreign))
    return final or _is_denied(fault) or _wants_a_password(fault)


def unavailable(fault: BaseException | str) -> LedgerUnavailable:
    """The error for a caller that needed the ledger, without secrets."""
    if isinstance(fault, LedgerUnavailable):
        return fault
    said = fault if isinstance(fault, str) else f"{type(fault).__name__}: {fault}".rstrip(": ")
    said = said.partition(_REPEATS_THE_COMMAND)[0]
    if _wants_a_password(fault):
        return LedgerUnavailable("the ledger's server wants a password, and none was given")
    if isinstance(fault, NoPermissionError) or (_is_denied(fault)):
        return LedgerUnavailable(f"the ledger's server denies this user what it needs: {said}")
    return LedgerUnavailable(f"the ledger's server can't be reached: {said}")


def _wants_a_password(fault: BaseException | str | None) -> bool:
    return isinstance(fault, ResponseError) and _UNAUTHENTICATED in str(fault)


def _is_denied(fault: BaseException | str | None) -> bool:
    return isinstance(fault, ResponseError) and any(
        words in str(fault) for words in _DENIED_IN_SCRIPT
    )
