"""Cases for the doctor: one for each finding, with what it is to find there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from callguard.decision import Pause
from callguard.doctor import Case, Setup, Severity, Unknown
from callguard.doctor.deliveries import Answer, Kind
from callguard.doctor.readings import Readings
from callguard.doctor.server import Exchange, Server
from callguard.errors import CallGuardError, LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.fetcher.settings import PRODUCTION_URL
from callguard.lanes import Lane
from callguard.ledger.redis.holders import Contents, Worker
from callguard.ledger.redis.neighbours import Neighbour
from callguard.ledger.redis.own_calls import OwnCalls
from callguard.ledger.redis.premises import LedgerPremise
from callguard.ledger.redis.suggestions import Suggestion
from callguard.ledger.redis.trunks import LedgerTrunk
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


FEW = Trunk("a", cps=5.0, calls=7), Trunk("b", cps=None, calls=7)

SLOWLY = Trunk("c", cps=0.0175, calls=9)


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
    Finds("address", "error", "must be an address", unread(base_url="nowhere at all")),
    Finds("address", "error", "must hold no credentials", unread(base_url="https://u:pw@host")),
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
    Finds(
        "filling",
        "note",
        "the trunks take 3 calls at once, and the limit of 20 can't be filled 1000 calls of 60 s "
        "take about 5.6 h, and the limit alone would allow 50 min",
        case(trunks=on(Trunk("a", cps=None, calls=3))),
    ),
    Finds("filling", "note", "trunks take 19 calls", case(trunks=on(*FEW, Trunk("c", calls=5)))),
    Finds("filling", "ok", "20 at once", case(trunks=on(*FEW, Trunk("c", calls=6)))),
    Finds("filling", "ok", "20 at once", case(trunks=on(*FEW, Trunk("c", cps=None)))),
    Finds("filling", "note", "are 15 at once", case(trunks=on(*FEW, Trunk("c", cps=0.0175)))),
    Finds("filling", "note", "are 15 at once", case(trunks=on(*FEW, SLOWLY))),
)

NOW = 1000.0


def contents(**facts: Any) -> Contents:
    """A ledger with one gate, in which nothing is wrong but what the arguments say."""
    well: dict[str, Any] = {
        "now": NOW,
        "known": True,
        "workers": (Worker("w", "host:1", 10.0),),
        "permits": (),
        "waiting": (),
        "snapshot": Snapshot(WELL, NOW - 0.5, NOW - 0.4),
        "spent_until": 0.0,
        "lost_until": 0.0,
    }
    return Contents(**well | facts)


def trips(*seconds: float, step: float = 0.0) -> list[Exchange]:
    """Round trips, one a second, before the last of which the server's clock steps."""
    return [
        Exchange(float(at), 5e8 + at + (step if at == len(seconds) - 1 else 0.0), at + took)
        for at, took in enumerate(seconds)
    ]


INFO = {
    "redis_version": "7.0.15",
    "role": "master",
    "connected_slaves": 0,
    "aof_enabled": 1,
    "rdb_last_bgsave_status": "ok",
    "cluster_enabled": 0,
    "maxmemory": 0,
    "used_memory": 1000,
}

UNKNOWN = Unknown("the ledger's server denies this user what it needs")


def at(ledger: str = "redis://localhost", limits: Limits = WELL, **facts: Any) -> Case:
    """A case with a ledger in which nothing is wrong but what the arguments say."""
    trunks = facts.pop("trunks", [Trunk(DEFAULT_TRUNK)])
    info = facts.pop("info", {})
    well: dict[str, Any] = {
        "info": info if isinstance(info, Unknown) else INFO | info,
        "evicts": None,
        "saves": "3600 1",
        "refused": [],
        "pushes": True,
        "exchanges": trips(0.001, 0.001, 0.002),
        "contents": contents(),
        "others": [],
    }
    healthy = case(limits=limits, ledger=ledger, trunks=trunks)
    return replace(healthy, server=Server(**well | facts))


def lost(reason: str) -> Case:
    return replace(case(ledger="redis://localhost"), server=Unknown(reason))


FULL = Limits(20, 20)

OURS = contents(own=OwnCalls(20, apart=True))

THEIRS = contents(own=OwnCalls(2, apart=True))

VALKEY = {"server_name": "valkey", "valkey_version": "8.1.0"}

WAITING = {"connected_slaves": 1, "min_slaves_good_slaves": 1}

TWO = [("HSET", "MISCONF"), ("DEL", "MISCONF")]

SLOW = LedgerTrunk("a", 1.0, None, 0.0, pushed_back=False)

PREMISE = LedgerPremise("cps", 5.0, 1.0, "dials were refused; set a lower cps", "host:1", 3.0)

SUGGESTION = Suggestion("counts_ringing=True", "ringing calls seem to count", ("host:1",), 3.0)

PAUSE = Pause(None, "twilio", "host:2", 60.0, "carrier trouble")

LEDGER: Sequence[Finds] = (
    Finds("ledger", "error", "can't be reached", lost("the ledger's server can't be reached")),
    Finds("ledger", "error", "denies this user", at(contents=UNKNOWN)),
    Finds("ledger", "note", "no gate has used", at(contents=contents(known=False, workers=()))),
    Finds("ledger", "ok", "1 gate shares", at()),
    Finds("room", "ok", "17 more calls fit", at()),
    Finds("room", "note", "20 ours, 0 others", at(limits=FULL, contents=OURS)),
    Finds("room", "warning", "isn't known whose", at(limits=FULL)),
    Finds("room", "warning", "until others' calls end", at(limits=FULL, contents=THEIRS)),
    Finds("encryption", "ok", "redis://localhost is on this machine", at()),
    Finds("encryption", "ok", "is on this machine", at("unix:///run/redis.sock")),
    Finds("encryption", "ok", "is encrypted", at("rediss://:u:pw@far.example:6380/1")),
    Finds("encryption", "warning", "redis://far:6379 is not", at("redis://u:pw@far:6379?db=1")),
    Finds("encryption", "warning", "isn't checked", at("rediss://far?ssl_cert_reqs=none")),
    Finds("version", "ok", "redis 7.0.15", at()),
    Finds("version", "ok", "6.2.0", at(info={"redis_version": "6.2.0"})),
    Finds("version", "error", "6.0.16", at(info={"redis_version": "6.0.16"})),
    Finds(
        "version",
        "ok",
        "valkey 8.1.0",
        at(info=VALKEY),
    ),
    Finds("version", "unknown", "'none'", at(info={"redis_version": "none"})),
    Finds("version", "unknown", "denies this user", at(info=UNKNOWN)),
    Finds("rights", "ok", "every command", at()),
    Finds("rights", "error", "denies this user", at(refused=UNKNOWN)),
    Finds("rights", "error", "refuses HSET: NOPERM", at(refused=[("HSET", "NOPERM")])),
    Finds(
        "rights",
        "error",
        "HSET and 1 more: MISCONF",
        at(refused=TWO),
    ),
    Finds("rights", "warning", "not publish or not sub", at(refused=[("PUBLISH", "NOPERM")])),
    Finds("rights", "warning", "not publish or not sub", at(pushes=UNKNOWN)),
    Finds("eviction", "ok", "evicts nothing", at()),
    Finds("eviction", "warning", "allkeys-lru", at(evicts="allkeys-lru")),
    Finds("eviction", "warning", "95% of", at(info={"maxmemory": 1000, "used_memory": 950})),
    Finds("eviction", "unknown", "denies this user", at(evicts=UNKNOWN)),
    Finds("persistence", "ok", "appendonly", at()),
    Finds("persistence", "ok", "save 3600 1", at(info={"aof_enabled": 0})),
    Finds("persistence", "note", "saves nothing", at(info={"aof_enabled": 0}, saves="")),
    Finds(
        "persistence",
        "warning",
        "and on gateway until",
        at(info={"aof_enabled": 0}, saves="", trunks=on(Trunk("gateway", calls=5))),
    ),
    Finds("persistence", "warning", "failed", at(info={"rdb_last_bgsave_status": "err"})),
    Finds("persistence", "unknown", "denies", at(info={"aof_enabled": 0}, saves=UNKNOWN)),
    Finds("persistence", "unknown", "denies this user", at(info=UNKNOWN)),
    Finds("replicas", "ok", "a master without", at()),
    Finds("replicas", "note", "2 replicas, and", at(info={"connected_slaves": 2})),
    Finds(
        "replicas",
        "ok",
        "a master with 1",
        at(info=WAITING),
    ),
    Finds("replicas", "error", "is a replica", at(info={"role": "slave"})),
    Finds("replicas", "unknown", "denies this user", at(info=UNKNOWN)),
    Finds("round trip", "ok", "takes 1.0 ms, the slowest of 3 2.0 ms", at()),
    Finds("round trip", "warning", "60.0 ms", at(exchanges=trips(0.06, 0.06, 0.06))),
    Finds("round trip", "warning", "slowest of 3 300.0", at(exchanges=trips(0.01, 0.3, 0.01))),
    Finds("round trip", "unknown", "denies this user", at(exchanges=UNKNOWN)),
    Finds("server clock", "ok", "evenly", at()),
    Finds("server clock", "ok", "evenly", at(exchanges=trips(0.0, 0.4, 0.4, step=0.3))),
    Finds("server clock", "warning", "+3.0 s", at(exchanges=trips(0.0, 0.0, 0.0, step=3.0))),
    Finds("server clock", "warning", "-3.0 s", at(exchanges=trips(0.0, 0.0, 0.0, step=-3.0))),
    Finds("server clock", "unknown", "denies this user", at(exchanges=UNKNOWN)),
    Finds("cluster", "ok", "a single one", at()),
    Finds("cluster", "warning", "node of a cluster", at(info={"cluster_enabled": 1})),
    Finds("cluster", "unknown", "denies this user", at(info=UNKNOWN)),
    Finds("other ledgers", "ok", "no other", at(others=[Neighbour("b" * 24, None)])),
    Finds(
        "other ledgers",
        "warning",
        "b" * 24,
        at(others=[Neighbour("b" * 24, Snapshot(WELL, NOW, NOW))]),
    ),
    Finds("other ledgers", "unknown", "denies this user", at(others=UNKNOWN)),
    Finds("shared rates", "ok", "no other rates", at()),
    Finds("shared rates", "ok", "no other rates", at(contents=contents(trunks=(SLOW,)))),
    Finds(
        "shared rates",
        "warning",
        "'a' has cps=5, calls=9 here, and cps=1 at",
        at(contents=contents(trunks=(SLOW,)), trunks=on(Trunk("a", cps=5.0, calls=9))),
    ),
    Finds("premises", "ok", "no gate", at()),
    Finds("premises", "warning", "set a lower cps", at(contents=contents(premises=(PREMISE,)))),
    Finds(
        "premises",
        "warning",
        "reserved_inbound is given up",
        at(contents=contents(own=OwnCalls(given_up=("reserved_inbound",)))),
    ),
    Finds(
        "premises", "note", "counts_ringing=True", at(contents=contents(suggestions=(SUGGESTION,)))
    ),
    Finds("pauses", "ok", "nothing is paused", at()),
    Finds("pauses", "warning", "carrier trouble", at(contents=contents(pauses=(PAUSE,)))),
)

TOOK = Answer(204, 0.1)

NO = Answer(401, 0.1)

SILENT = Answer(None, 10.0, "it gave no answer in 10 s")


def receiving(url: str = "https://hooks.example/s3cr3t?token=s3cr3t", **answers: Answer) -> Case:
    """A case with a receiver in which nothing is wrong but what the arguments say."""
    well: dict[Kind, Answer] = {"genuine": TOOK, "unsigned": NO, "forged": NO, "old": NO}
    changed = {kind: answers.get(kind, answer) for kind, answer in well.items()}
    if changed["genuine"].status is None:
        changed = {"genuine": changed["genuine"]}
    return replace(case(webhook_url=url), answers=changed)


MISSING = Answer(404, 0.1)

NOWHERE = receiving(genuine=MISSING, unsigned=MISSING, forged=MISSING, old=MISSING)

WEBHOOKS: Sequence[Finds] = (
    Finds("signature", "ok", "is verified", case()),
    Finds("receiver", "ok", "https://hooks.example took a genuine delivery", receiving()),
    Finds("receiver", "ok", "refused a delivery without a signature", receiving()),
    Finds("receiver", "error", "no answer in 10 s", receiving(genuine=SILENT)),
    Finds("receiver", "error", "signed with this key, with 401", receiving(genuine=NO)),
    Finds("receiver", "error", "with 404, and not", receiving(genuine=Answer(404, 0.1))),
    Finds("receiver", "error", "with 302, and not", receiving(genuine=Answer(302, 0.1))),
    Finds("receiver", "warning", "in 6.00 s", receiving(genuine=Answer(200, 6.0))),
    Finds("receiver", "error", "took a delivery without a signature", receiving(unsigned=TOOK)),
    Finds("receiver", "error", "took a delivery that is signed with", receiving(forged=TOOK)),
    Finds("receiver", "warning", "took a delivery that was signed 600 s", receiving(old=TOOK)),
    Finds("receiver", "warning", "answered 500", receiving(forged=Answer(500, 0.1))),
    Finds("receiver", "warning", "no answer in 10 s", receiving(forged=SILENT)),
    Finds("receiver", "unknown", "isn't known whether", receiving(genuine=NO)),
    Finds("receiver", "unknown", "isn't known whether", NOWHERE),
    Finds("receiver", "error", "took a delivery without", receiving(genuine=NO, unsigned=TOOK)),
    Finds(
        "receiver", "warning", "http://far.example is plain", receiving("http://u:pw@far.example")
    ),
    Finds("receiver", "ok", "http://localhost:80 took", receiving("http://localhost:80/hook")),
)

CASES: Sequence[Finds] = (*PROVIDER, *WORKSPACE, *LEDGER, *WEBHOOKS)
