"""Cases for the doctor: one for each finding, with what it is to find there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from callguard.doctor import Case, Setup, Severity
from callguard.doctor.readings import Readings
from callguard.errors import CallGuardError, LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.fetcher.settings import PRODUCTION_URL
from callguard.lanes import Lane
from callguard.limits import Limits, Snapshot
from callguard.trunks import DEFAULT_TRUNK, Trunk

KEY = "key_of_these_cases"

WELL = Limits(current_concurrency=3, concurrency_limit=20)

FAULT = LimitsUnavailable("no answer within 5 s")


def snapshot(limits: Limits = WELL, took: float = 0.1) -> Snapshot:
    return Snapshot(limits, 100.0, 100.0 + took)


def case(
    *outcomes: Snapshot | CallGuardError,
    limits: Limits = WELL,
    ahead: tuple[float, float] | None = (-0.2, 0.8),
    **setup: Any,
) -> Case:
    """A case in which nothing is wrong but what the arguments say."""
    well = {"api_key": KEY, "base_url": PRODUCTION_URL}
    readings = Readings(outcomes or (snapshot(limits),), ahead)
    return Case(setup=Setup(**well | setup), readings=readings)


def unread(**setup: Any) -> Case:
    """A case in which nothing could be read, because the key or the address can't be used."""
    setup = {"api_key": KEY, "base_url": PRODUCTION_URL} | setup
    return Case(setup=Setup(**setup), readings=Readings())


def on(*trunks: Trunk) -> list[Trunk]:
    return [Trunk(DEFAULT_TRUNK), *trunks]


@dataclass(frozen=True)
class Finds:
    """What a check is to find in a case: its severity, and words of what, why or the remedy."""

    check: str
    severity: Severity
    words: str
    case: Case


PROVIDER: Sequence[Finds] = (
    Finds("key", "error", "no API key", unread(api_key="")),
    Finds("key", "error", "whitespace", unread(api_key="Bearer key")),
    Finds("key", "warning", "in quotes", case(api_key="'key'")),
    Finds("key", "warning", "placeholder", case(api_key="YOUR_RETELL_API_KEY")),
    Finds("key", "error", "doesn't know the key", case(LimitsRejected("HTTP 401", 401))),
    Finds("key", "error", "to be paid first", case(LimitsRejected("HTTP 402", 402))),
    Finds("key", "error", "doesn't let this key", case(LimitsRejected("HTTP 403", 403))),
    Finds("key", "unknown", "gave no answer", case(FAULT)),
    Finds("key", "ok", "accepts the key", case()),
    Finds("address", "error", "no address", unread(base_url="nowhere at all")),
    Finds("address", "error", "holds no credentials", unread(base_url="https://u:pw@host")),
    Finds("address", "error", "plain http", unread(base_url="http://far.example")),
    Finds(
        "address",
        "warning",
        "plain http to another machine",
        case(base_url="http://far.example", allow_plain_http=True),
    ),
    Finds("address", "note", "not the provider's own", case(base_url="http://127.0.0.1:8080")),
    Finds("address", "error", "redirects", case(LimitsRejected("HTTP 301", 301))),
    Finds("address", "error", "doesn't know what it was asked", case(LimitsRejected("404", 404))),
    Finds("address", "error", "not JSON", case(LimitsMalformed("the limits are not JSON"))),
    Finds("address", "ok", "the provider's own", case()),
    Finds("answers", "error", "none of 3 readings succeeded", case(FAULT, FAULT, FAULT)),
    Finds("answers", "warning", "1 of 3 readings failed", case(snapshot(), FAULT, snapshot())),
    Finds("answers", "warning", "took 1.40 s", case(snapshot(took=1.4))),
    Finds("answers", "ok", "slowest of 2 1.40 s", case(snapshot(took=1.4), snapshot(took=0.1))),
    Finds("clock", "ok", "right to 0.8 s", case()),
    Finds("clock", "warning", "6 s behind", case(ahead=(6.0, 7.0))),
    Finds("clock", "warning", "60 s ahead", case(ahead=(-61.0, -60.0))),
    Finds("clock", "error", "301 s ahead of the provider's", case(ahead=(-302.0, -301.0))),
    Finds("clock", "unknown", "dated", case(ahead=None)),
)

WORKSPACE: Sequence[Finds] = (
    Finds("limit", "unknown", "could not be read", case(FAULT)),
    Finds("limit", "error", "limit is 0", case(limits=Limits(0, 0))),
    Finds("limit", "error", "20 slots are reserved", case(limits=Limits(0, 20, 20))),
    Finds("limit", "ok", "of which 4 are reserved", case(limits=Limits(0, 20, 4))),
    Finds("lanes", "error", "leaves 20 slots free", case(lanes=[Lane("bulk", reserve=20)])),
    Finds(
        "lanes",
        "error",
        "only 3 beside the 17 reserved for inbound",
        case(limits=Limits(0, 20, 17), lanes=[Lane("bulk", reserve=3)]),
    ),
    Finds("lanes", "ok", "'bulk' up to 1", case(lanes=[Lane("bulk", reserve=19)])),
    Finds("room", "ok", "17 more calls fit", case()),
    Finds("room", "warning", "no call fits", case(limits=Limits(20, 20))),
    Finds("burst", "ok", "burst is off", case()),
    Finds(
        "burst",
        "ok",
        "up to 60",
        case(limits=Limits(0, 20, 0, True, 60), lanes=[Lane("a", burst=5)]),
    ),
    Finds("burst", "note", "no lane may burst", case(limits=Limits(0, 20, 0, True, 60))),
    Finds("burst", "note", "not above the limit of 100", case(limits=Limits(0, 100, 0, True, 60))),
    Finds(
        "burst",
        "warning",
        "not above the limit of 100",
        case(limits=Limits(0, 100, 0, True, 60), lanes=[Lane("a", burst=5)]),
    ),
    Finds("burst", "warning", "burst is off in the", case(lanes=[Lane("urgent", burst="all")])),
    Finds("trunks", "ok", "the default trunk starts 1 call a second", case()),
    Finds("trunks", "note", "no rate", case(trunks=[Trunk(DEFAULT_TRUNK, cps=None)])),
    Finds("trunks", "note", "Twilio, Telnyx and", case(trunks=on(Trunk("a", cps=5.0)))),
    Finds("trunks", "note", "not Twilio", case(trunks=on(Trunk("a", cps=16.0)))),
    Finds("trunks", "note", "custom telephony alone", case(trunks=on(Trunk("a", cps=150.0)))),
    Finds("trunks", "warning", "allows 150 at most", case(trunks=on(Trunk("a", cps=151.0)))),
    Finds("trunks", "note", "takes 21 calls at once", case(trunks=on(Trunk("a", calls=21)))),
    Finds("filling", "ok", "1000 calls of 60 s take about 50 min", case()),
    Finds("filling", "note", "limit of 100 can't be filled", case(limits=Limits(0, 100))),
)

CASES: Sequence[Finds] = (*PROVIDER, *WORKSPACE)
