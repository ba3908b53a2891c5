"""`Setup` and `Case`: what is to be examined, and the facts that were gathered about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from callguard.doctor.readings import Readings
from callguard.lanes import DEFAULT_LANE, Lane
from callguard.limits import Limits, Snapshot
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["Case", "Setup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How gates are going to be opened.

    Attributes:
        api_key: the workspace's key; None for the environment's `RETELL_API_KEY`.
        base_url: the provider's address; None for the environment's `RETELL_BASE_URL`, else the
            production server.
        allow_plain_http: whether the key may travel unencrypted to another machine.
        lanes: the gate's lanes.
        trunks: the gate's trunks, the default one among them.
        average_call: seconds that a call lasts on average, ringing included.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    allow_plain_http: bool = False
    lanes: Sequence[Lane] = (DEFAULT_LANE,)
    trunks: Sequence[Trunk] = (Trunk(DEFAULT_TRUNK),)
    average_call: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts that the checks judge.

    Attributes:
        setup: what is examined.
        readings: the attempts to read the workspace's limits.
    """

    setup: Setup
    readings: Readings

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest snapshot; None if the limits could not be read."""
        return self.readings.latest

    @property
    def limits(self) -> Limits | None:
        """The workspace's limits; None if they could not be read."""
        return None if self.snapshot is None else self.snapshot.limits
