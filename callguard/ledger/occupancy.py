"""The calls on a trunk that takes so many at once: the rule of its most, written once.

The laws that this file holds:

- A call is on its trunk from its grant until it is known to be over, or never to have been; at the
  latest until it has rung and lasted as long as a call can, from the moment when its dial returned.
- While as many calls are on the trunk as may be, no start is due there.
- The provider counts calls, and not by trunk. So a call that a snapshot has absorbed stays on its
  trunk, and its id stays known: by nothing else can its end be heard.

ledger/redis/lua/occupancy.lua has the same rule for gates that share a ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Final

from callguard.call_ids import CallIds
from callguard.pacing import Pace, paced
from callguard.trunks import Trunk

__all__ = ["Occupancy", "lasting", "pace_of"]


LONGEST: Final = 1e9
"""Seconds that a call lasts at most, whatever is said: a server's moments have 13 digits."""


class Occupancy(Pace):
    """The starts of one trunk, and the calls on it.

    Args:
        trunk: whose calls.
        most: how many there may be.
        ring_limit: seconds that a call rings at most.

    Attributes:
        trunk: whose calls.
        rate: the starts, as far as the trunk's rate goes.
    """

    __slots__ = (
        "_dialling",
        "_ids",
        "_lasts",
        "_most_calls",
        "_over_at",
        "_room_at",
        "rate",
        "trunk",
    )

    def __init__(self, trunk: Trunk, most: int, ring_limit: float) -> None:
        self.trunk = trunk
        self.rate = paced(trunk)
        self._most_calls = most
        self._room_at = -math.inf
        self._lasts = lasting(trunk, ring_limit)
        self._dialling: set[int] = set()
        # By permit, in the order of these moments, when its placed call is over at the latest.
        self._over_at: dict[int, float] = {}
        self._ids = CallIds()

    @property
    def due_at(self) -> float:  # type: ignore[override]  # nobody else sets it
        """From when on the next call may start: the rate lets it, and the trunk has room."""
        return max(self.rate.due_at, self._room_at)

    @property
    def pushed_back(self) -> bool:
        """Whether a refusal was the last that was heard of a dial."""
        return self.rate.pushed_back

    def calls(self, now: float) -> int:
        """Calls that can be on the trunk."""
        return len(self._dialling) + len(self._over_at) - len(self._over(now))

    def has(self, number: int) -> bool:
        """Whether the call of a permit is on the trunk."""
        return number in self._dialling or number in self._over_at

    def due_after(self, starts: int, now: float) -> float:
        """When the rate lets the next call start after so many others."""
        return self.rate.due_after(starts, now)

    def start(self, number: int, now: float) -> None:
        """Charge a start to the permit `number`, whose call is on the trunk from now on."""
        self.rate.start(number, now)
        for over in self._over(now):
            self.leave(over)
        self.join(number)

    def give_back(self, number: int) -> bool:
        """Take back the start of a permit with which nobody dialled; whether it was here."""
        return self.rate.give_back(number)

    def restart(self, number: int, now: float) -> None:
        """Somebody has dialled with a permit after all."""
        self.rate.restart(number, now)

    def push_back(self, number: int, now: float) -> None:
        """The provider refused the dial of the permit `number`."""
        self.rate.push_back(number, now)

    def succeed(self, number: int) -> None:
        """The dial of the permit `number` was not refused."""
        self.rate.succeed(number)

    def join(self, number: int) -> None:
        """The call of a permit is on the trunk, however full that is."""
        self._over_at.pop(number, None)
        self._dialling.add(number)
        self._look()

    def place(self, number: int, now: float) -> None:
        """The dial of a permit has returned, if that is on this trunk."""
        if number in self._dialling:
            self._dialling.remove(number)
            self._over_at[number] = now + self._lasts
            self._look()

    def leave(self, number: int) -> None:
        """The call of a permit is over or never was, if it is on this trunk."""
        self._dialling.discard(number)
        self._over_at.pop(number, None)
        self._ids.forget(number)
        self._look()

    def bind(self, number: int, call_id: str) -> bool:
        """A placed permit's call has that id; whether it is on this trunk."""
        if number not in self._over_at:
            return False
        self._ids.bind(number, call_id)
        return True

    def number_of(self, call_id: str) -> int | None:
        """The permit of a call on this trunk."""
        return self._ids.number_of(call_id)

    @property
    def is_full(self) -> bool:
        """Whether a call has to end before another starts."""
        return self._room_at > -math.inf

    @property
    def call_ids(self) -> Iterable[str]:
        """The ids of the placed calls on the trunk, as far as they are known, the oldest first."""
        return self._ids.all

    def note_sleep(self, slept: float) -> None:
        """The clock stood still for `slept` seconds, so all that was before is longer ago."""
        self.rate.note_sleep(slept)
        self._over_at = {number: at - slept for number, at in self._over_at.items()}
        self._look()

    def _over(self, now: float) -> list[int]:
        """The permits whose calls are over by now, if nobody said so."""
        return [*takewhile(lambda number: self._over_at[number] <= now, self._over_at)]

    def _look(self) -> None:
        """See from when on there is room for one more."""
        have_to_end = len(self._dialling) + len(self._over_at) + 1 - self._most_calls
        if have_to_end <= 0:
            self._room_at = -math.inf
        elif have_to_end <= len(self._over_at):
            self._room_at = next(islice(self._over_at.values(), have_to_end - 1, None))
        else:
            self._room_at = math.inf


def lasting(trunk: Trunk, ring_limit: float) -> float:
    """Seconds for which a call is on a trunk at most, from the return of its dial."""
    return ring_limit + min(trunk.longest_call, LONGEST)


def pace_of(trunk: Trunk, ring_limit: float) -> Pace:
    """What says when a limited trunk is due."""
    return paced(trunk) if trunk.calls is None else Occupancy(trunk, trunk.calls, ring_limit)
