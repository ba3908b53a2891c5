"""The facts about a ledger's server, and the ledger's contents; each is found out by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from callguard.doctor.finding import Unknown
from callguard.errors import CallGuardError
from callguard.ledger.redis.connection import Connection
from callguard.ledger.redis.eviction import eviction_policy
from callguard.ledger.redis.faults import FAULTS, unavailable
from callguard.ledger.redis.holders import Contents, look
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.neighbours import Neighbour, neighbours
from callguard.ledger.redis.trial import may_subscribe, tried

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["PATIENCE", "Exchange", "Server", "look_at"]

T = TypeVar("T")

PATIENCE: Final = 2.0
"""Seconds for each question, as a ledger waits for an answer by default."""

_EXCHANGES: Final = 20


class Exchange(NamedTuple):
    """A round trip to the server, which told its time.

    Attributes:
        sent: when it began, in seconds on the event loop's clock.
        showed: what the server's clock showed, in seconds since 1970.
        received: when the answer came.
    """

    sent: float
    showed: float
    received: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.received - self.sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server said when it was asked.

    Attributes:
        info: its INFO.
        evicts: the policy by which it evicts keys; None for none.
        saves: when it saves its data, in the words of its setting ``save``; empty for never.
        refused: the commands that a ledger needs and it doesn't carry out, each with what it said.
        pushes: whether it confirms a subscription.
        exchanges: round trips to it.
        contents: those of the ledger.
        others: the other ledgers there.
    """

    info: Mapping[str, Any] | Unknown
    evicts: str | Unknown | None
    saves: str | Unknown
    refused: Sequence[tuple[str, str]] | Unknown
    pushes: bool | Unknown
    exchanges: Sequence[Exchange] | Unknown
    contents: Contents | Unknown
    others: Sequence[Neighbour] | Unknown


async def look_at(client: Redis, workspace: str) -> Server | Unknown:
    """Ask a server what it is, what it allows, and what is in the ledger.

    Cancelling this leaves nothing behind but two keys for a second.

    Args:
        client: redis-py's asyncio client; it stays open.
        workspace: the ledger's name, or the workspace's API key.

    Returns:
        The facts; unknown if the server can't be reached.
    """
    if isinstance(reached := await _found_out(client.ping()), Unknown):
        return reached
    names, connection = Names(workspace), Connection(client, PATIENCE)
    try:
        early = await _found_out(_exchanges(client))
        return Server(
            info=await _found_out(client.info()),
            evicts=await _found_out(eviction_policy(connection)),
            saves=await _found_out(_saves(client)),
            refused=await _found_out(tried(client, names)),
            pushes=await _found_out(may_subscribe(client, names, PATIENCE)),
            contents=await _found_out(look(client, names, PATIENCE)),
            others=await _found_out(neighbours(client, names)),
            exchanges=_together(early, await _found_out(_exchanges(client))),
        )
    finally:
        await connection.aclose()


async def _found_out(asking: Awaitable[T]) -> T | Unknown:
    try:
        async with asyncio.timeout(PATIENCE):
            return await asking
    except TimeoutError:
        return Unknown(f"the ledger's server gave no answer in {PATIENCE:g} s")
    except CallGuardError as error:
        return Unknown(str(error))
    except FAULTS as fault:
        return Unknown(str(unavailable(fault)))


async def _exchanges(client: Redis) -> Sequence[Exchange]:
    """Half of the round trips: the other half comes later, to see whether the clock was set."""
    time, exchanges = asyncio.get_running_loop().time, []
    for _ in range(_EXCHANGES // 2):
        sent = time()
        seconds, microseconds = await client.time()
        exchanges.append(Exchange(sent, seconds + microseconds / 1e6, time()))
    return exchanges


def _together(
    early: Sequence[Exchange] | Unknown, late: Sequence[Exchange] | Unknown
) -> Sequence[Exchange] | Unknown:
    if isinstance(early, Unknown):
        return early
    return late if isinstance(late, Unknown) else [*early, *late]


async def _saves(client: Redis) -> str:
    found: Mapping[Any, Any] = await client.config_get("save")
    return str(found.get("save", ""))
