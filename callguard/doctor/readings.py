"""Readings of the workspace's limits, each a single attempt, with what its dates say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from callguard.errors import CallGuardError, LimitsRejected
from callguard.fetcher import LimitFetcher
from callguard.limits import Snapshot

__all__ = ["READINGS", "Readings", "take"]

READINGS: Final = 3
"""How many readings are taken: enough to tell one fault from an outage."""

_PATIENCE: Final = 5.0
"""Seconds for each, as a gate gives an attempt."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The outcomes of all readings.

    Attributes:
        outcomes: the snapshots and the errors, in order; empty if none could be tried.
        ahead: seconds that the provider's clock is ahead of this machine's wall clock, at least
            and at most; None if no answer was dated.
    """

    outcomes: tuple[Snapshot | CallGuardError, ...] = ()
    ahead: tuple[float, float] | None = None

    @property
    def snapshots(self) -> list[Snapshot]:
        """The readings that succeeded."""
        return [each for each in self.outcomes if isinstance(each, Snapshot)]

    @property
    def faults(self) -> list[CallGuardError]:
        """The errors of those that failed."""
        return [each for each in self.outcomes if not isinstance(each, Snapshot)]

    @property
    def latest(self) -> Snapshot | None:
        """The last snapshot; None if every reading failed."""
        return self.snapshots[-1] if self.snapshots else None

    @property
    def seconds(self) -> list[float]:
        """How long each answer took, the quickest first."""
        return sorted(each.received - each.began for each in self.snapshots)

    @property
    def rejection(self) -> LimitsRejected | None:
        """The provider's definite no, if it said one."""
        return next((each for each in self.faults if isinstance(each, LimitsRejected)), None)


async def take(
    api_key: str | None,
    base_url: str | None,
    *,
    allow_plain_http: bool,
    wall_clock: Callable[[], float] = time.time,
) -> Readings:
    """Read the limits a few times; cancelling leaves nothing behind.

    Args:
        api_key: the workspace's key; None for the environment's.
        base_url: the provider's address; None for the environment's, else the production server.
        allow_plain_http: whether the key may travel unencrypted to another machine.
        wall_clock: the machine's clock, in seconds since 1970.

    Raises:
        UsageError: there is no key, or the key or the address can't be used.
    """
    loop = asyncio.get_running_loop()
    outcomes: list[Snapshot | CallGuardError] = []
    async with LimitFetcher(
        api_key,
        base_url=base_url,
        timeout=_PATIENCE,
        deadline=_PATIENCE,
        attempts=1,
        allow_plain_http=allow_plain_http,
    ) as fetcher:
        while len(outcomes) < READINGS:
            outcomes.append(await _outcome(fetcher, loop.time()))
            if isinstance(outcomes[-1], LimitsRejected):
                break  # it would be the same again
        shift = loop.time() - wall_clock()
        least, most = (bound + shift for bound in fetcher.clock.bounds)
    return Readings(tuple(outcomes), None if least > most or most - least > 1e9 else (least, most))


async def _outcome(fetcher: LimitFetcher, after: float) -> Snapshot | CallGuardError:
    try:
        return await fetcher.get(newer_than=after)
    except CallGuardError as error:
        return error
