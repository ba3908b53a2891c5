"""The pauses of a shared ledger: their form on the server, and changes from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from callguard.ledger.protocol import DatedPause
from callguard.ledger.redis.faults import FAULTS, unavailable
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.scripts import PAUSE

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

    from callguard.ledger.redis.wire import Happening

__all__ = ["PAUSING", "change", "pauses_in", "scope_key", "with_unheard"]

PAUSING = "pause"
"""The kind of the happening: it has the scope, and for a pause its author and its reason."""


def scope_key(lane: str | None, trunk: str | None) -> str:
    """The key of a scope on the server; None for all lanes or trunks."""
    return json.dumps([lane, trunk])


def pauses_in(text: str | bytes) -> tuple[DatedPause, ...]:
    """Parse the pauses from the server, with `since` in seconds on the server's clock.

    What was resumed is in the text too, and isn't among them.

    Raises:
        KeyError, TypeError, ValueError: the text has no pauses.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise TypeError(f"not the pauses of a ledger: {found!r}")
    return tuple(pause for key, said in found.items() if (pause := _pause(key, said)) is not None)


def _pause(key: str, said: Mapping[str, Any]) -> DatedPause | None:
    lane, trunk = json.loads(key)
    since = said["since"]
    names = all(each is None or isinstance(each, str) for each in (lane, trunk))
    if not names or not isinstance(since, int | float):
        raise TypeError(f"not a pause of a ledger: {key}")
    if "by" not in said:
        return None
    by, reason = said["by"], said["reason"]
    if not all(isinstance(each, str) for each in (by, reason)):
        raise TypeError(f"not a pause of a ledger: {key}")
    return DatedPause(lane, trunk, by, since / 1000, reason)


def with_unheard(
    pauses: Iterable[DatedPause], happenings: Iterable[Happening], now: float
) -> tuple[DatedPause, ...]:
    """The pauses after these happenings, which the server doesn't know yet."""
    by_scope = {(pause.lane, pause.trunk): pause for pause in pauses}
    for kind, *what in happenings:
        if kind == PAUSING:
            key, *why = map(str, what)
            lane, trunk = json.loads(key)
            by_scope.pop((lane, trunk), None)
            if why:
                by, reason = why
                by_scope[lane, trunk] = DatedPause(lane, trunk, by, now, reason)
    return tuple(by_scope.values())


async def change(
    client: Redis | RedisCluster,
    names: Names,
    timeout: float,
    scope: tuple[str | None, str | None],
    why: tuple[str, str] | None,
) -> bool | None:
    """Pause a lane and a trunk, or resume them, for all gates on a ledger.

    If this is cancelled, the change may have been made.

    Args:
        client: redis-py's asyncio client; it stays open.
        names: the names of the ledger's keys on the server.
        timeout: seconds to wait for the answer.
        scope: the names of the lane and the trunk; None for all.
        why: the author of the pause and its reason; None to resume.

    Returns:
        Whether this changed anything; None if there is no such ledger.

    Raises:
        LedgerUnavailable: the server did not answer, or refused.
    """
    arguments = (scope_key(*scope), names.channels, *(why or ()))
    try:
        async with asyncio.timeout(timeout):
            done = await PAUSE.run(client, names.keys_of_pauses, *arguments)
    except TimeoutError:
        raise unavailable(f"no answer in {timeout:g} s") from None
    except FAULTS as fault:
        raise unavailable(fault) from None
    return None if done < 0 else bool(done)
