"""Warnings in the log about faults of a ledger's server that works nevertheless."""

from __future__ import annotations

import logging
from typing import Final

from callguard.ledger.redis.connection import Connection
from callguard.ledger.redis.eviction import eviction_policy
from callguard.ledger.redis.faults import is_final

__all__ = ["Complaints"]

logger = logging.getLogger("callguard")

_STEP: Final = 1.0
"""The smallest step of the server's clock, in seconds, that causes a warning; a smaller one may be
a late exchange."""


class Complaints:
    """Warns of each fault of the server once, and of each step of its clock."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def clock_stepped(self, seconds: float) -> None:
        """Warn that the server's clock has stepped by `seconds`."""
        if abs(seconds) >= _STEP:
            logger.warning(
                "the clock of the ledger's server went by %+.0f s that no worker saw pass: it was "
                "set, or every worker had died; the ledger's clock goes on without them",
                seconds,
            )

    def publishes_nothing(self, words: str) -> None:
        """Warn, with the server's `words`, that this user may publish nothing."""
        self._warn_once("the ledger's server lets this user publish nothing", words)

    def subscribes_to_nothing(self, fault: BaseException | None) -> None:
        """Warn if the worker could not listen because this user may not subscribe."""
        if is_final(fault):
            self._warn_once("the ledger's server lets this user subscribe to nothing", fault)

    async def may_evict(self, connection: Connection) -> None:
        """Ask the server whether it evicts keys; raises as `eviction_policy` does."""
        policy = await eviction_policy(connection)
        if policy is not None:
            logger.warning(
                "the ledger's server evicts keys when its memory is full "
                "(maxmemory-policy %s): whenever it evicts one of the ledger's, nobody is "
                "admitted for a while; set it to noeviction, or use another server",
                policy,
            )

    def _warn_once(self, what: str, said: object) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("%s, so gates wait for each other longer than need be: %s", what, said)
