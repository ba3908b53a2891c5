"""From what redis-py raises to what callguard does."""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisError

from callguard.errors import LedgerUnavailable

__all__ = ["FAULTS", "unavailable"]

FAULTS: Final = (RedisError, OSError)
"""What says that the server was not reached or could not do it; TimeoutError is among them."""

_REPEATS_THE_COMMAND: Final = ", with args beginning with"
"""What follows in the answer of a server that is too old: perhaps the password."""


def unavailable(fault: BaseException | str) -> LedgerUnavailable:
    """The error of a caller that needed the ledger, without anything secret."""
    said = fault if isinstance(fault, str) else f"{type(fault).__name__}: {fault}".rstrip(": ")
    said = said.partition(_REPEATS_THE_COMMAND)[0]
    return LedgerUnavailable(f"the ledger's server can't be reached: {said}")
