"""`Setup` and `Case`: what is to be examined, and the facts that were gathered about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callguard.doctor.deliveries import Answer, Kind
from callguard.doctor.finding import Unknown
from callguard.doctor.readings import Readings
from callguard.lanes import DEFAULT_LANE, Lane
from callguard.limits import Limits, Snapshot
from callguard.trunks import DEFAULT_TRUNK, Trunk

if TYPE_CHECKING:
    from callguard.doctor.server import Server
    from callguard.ledger.redis.holders import Contents

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
        ledger: the address of the shared ledger's server; None for none.
        ledger_name: the ledger's name; None if the key names it.
        webhook_url: the address to which test deliveries are sent; None for none.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)
    allow_plain_http: bool = False
    lanes: Sequence[Lane] = (DEFAULT_LANE,)
    trunks: Sequence[Trunk] = (Trunk(DEFAULT_TRUNK),)
    average_call: float = 60.0
    ledger: str | None = field(default=None, repr=False)
    ledger_name: str | None = None
    webhook_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The facts that the checks judge.

    Attributes:
        setup: what is examined.
        readings: the attempts to read the workspace's limits.
        server: the ledger's server; unknown if it can't be reached, and None without a ledger.
        answers: what the webhook's address answered to each kind of delivery; None without one.
    """

    setup: Setup
    readings: Readings
    server: Server | Unknown | None = None
    answers: Mapping[Kind, Answer] | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest snapshot; None if the limits could not be read."""
        return self.readings.latest

    @property
    def limits(self) -> Limits | None:
        """The workspace's limits; None if they could not be read."""
        return None if self.snapshot is None else self.snapshot.limits

    @property
    def contents(self) -> Contents | None:
        """The contents of the shared ledger; None if there is none, or they are unknown."""
        if self.server is None or isinstance(self.server, Unknown):
            return None
        return None if isinstance(self.server.contents, Unknown) else self.server.contents
