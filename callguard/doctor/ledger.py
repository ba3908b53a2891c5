"""Checks of the ledger's server: whether it is there, keeps what it is told, and answers soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from callguard.doctor.case import Case
from callguard.doctor.finding import Finding, Unknown
from callguard.fetcher.settings import is_loopback
from callguard.ledger.redis.address import shown_address

if TYPE_CHECKING:
    from callguard.doctor.server import Exchange, Server

__all__ = [
    "cluster",
    "encryption",
    "eviction",
    "ledger",
    "persistence",
    "replicas",
    "rights",
    "round_trip",
    "server_clock",
    "version",
]

_OLDEST: Final = (6, 2)
"""The oldest release that has all commands of the ledger's scripts."""

_SLOW: Final = 0.05
"""Seconds of a round trip, above which a gate admits fewer than about 20 calls a second one by one.
Our own choice."""

_LATE: Final = 0.25
"""Seconds by which an exchange may be late before gates doubt a clock (`ledger_clock.JITTER`)."""

_NEARLY_FULL: Final = 0.9
"""The share of `maxmemory` from which a server may soon refuse to write. Our own choice."""

_AGAIN: Final = "mend what the other findings say, and run this again"

_ServerCheck = Callable[[Case, "Server"], Iterator[Finding]]


def _of_the_server(check: _ServerCheck) -> Callable[[Case], Iterator[Finding]]:
    """Make a check of a case, which finds nothing where no server was reached."""

    @wraps(check)
    def checked(case: Case) -> Iterator[Finding]:
        if case.server is not None and not isinstance(case.server, Unknown):
            yield from check(case, case.server)

    return checked


def _unknown(check: str, fact: Unknown, why: str) -> Finding:
    remedy = "let this user ask the server, or look at its settings yourself"
    return Finding(check, "unknown", fact.reason, why, remedy)


def ledger(case: Case) -> Iterator[Finding]:
    """Whether the ledger's server can be reached, and gates have used the ledger."""
    if case.server is None:
        return
    if isinstance(case.server, Unknown):
        yield Finding(
            "ledger",
            "error",
            case.server.reason,
            "while gates can't reach their ledger, nobody is admitted",
            case.server.remedy or "check the address, the password and the network",
        )
        return
    contents = case.server.contents
    if isinstance(contents, Unknown):
        yield Finding(
            "ledger",
            "error",
            contents.reason,
            "gates that can't use their ledger admit nobody",
            "let this user run scripts on keys that begin with callguard:",
        )
    elif not contents.known:
        yield Finding(
            "ledger",
            "note",
            "no gate has used this ledger for an hour, if ever",
            "if gates are open now, they use another one, and don't share the limit with these",
            "check RETELL_API_KEY, and --name if the gates' ledger has one",
        )
    else:
        gates = len(contents.workers)
        yield Finding(
            "ledger",
            "ok",
            f"{gates} gates share the ledger" if gates != 1 else "1 gate shares the ledger",
        )


def encryption(case: Case) -> Iterator[Finding]:
    """Whether what gates say to the ledger's server is encrypted on its way."""
    if case.server is None or (address := case.setup.ledger) is None:
        return
    parts = urlsplit(address)
    shown = shown_address(address)
    unchecked = parse_qs(parts.query).get("ssl_cert_reqs") == ["none"]
    if parts.scheme == "rediss" and unchecked:
        yield Finding(
            "encryption",
            "warning",
            f"{shown} is encrypted, and its certificate isn't checked",
            "whoever is on the way can pass for the server, and learn the password",
            "leave ssl_cert_reqs=none out, and pass ssl_ca_certs if the authority is your own",
        )
    elif parts.scheme == "redis" and not is_loopback(parts.hostname or "localhost"):
        yield Finding(
            "encryption",
            "warning",
            f"{shown} is not encrypted",
            "whoever is on the way can read the password, and change who may dial",
            "use rediss://, unless the network is your own",
        )
    else:
        here = "is encrypted" if parts.scheme == "rediss" else "is on this machine"
        yield Finding("encryption", "ok", f"{shown} {here}")


@_of_the_server
def version(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the server is new enough, 6.2 at least."""
    why = "older servers lack commands that gates use"
    if isinstance(server.info, Unknown):
        yield _unknown("version", server.info, why)
        return
    said = str(server.info.get("redis_version", ""))
    numbers = tuple(int(each) for each in said.split(".")[:2] if each.isdecimal())
    if len(numbers) < 2:
        fact = Unknown(f"the server's version is {said!r}")
        yield _unknown("version", fact, why)
    elif numbers < _OLDEST:
        yield Finding("version", "error", f"the server is {said}", why, "use 6.2 or newer")
    else:
        name = str(server.info.get("server_name", "redis"))
        said = str(server.info.get(f"{name}_version", said))
        yield Finding("version", "ok", f"the server is {name} {said}")


@_of_the_server
def rights(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the server carries out every command that gates send."""
    refused = server.refused
    if isinstance(refused, Unknown):
        yield Finding(
            "rights",
            "error",
            refused.reason,
            "gates that can't run scripts admit nobody",
            "let this user run scripts on keys and channels that begin with callguard:",
        )
        return
    needed = [(command, said) for command, said in refused if command != "PUBLISH"]
    if needed:
        (command, said), more = needed[0], len(needed) - 1
        yield Finding(
            "rights",
            "error",
            f"the server refuses {command}{f' and {more} more' if more else ''}: {said}",
            "gates that can't change their ledger admit nobody",
            "give this user +@all on ~callguard:* and &callguard:*, or do what the server says",
        )
    mute = len(refused) > len(needed) or isinstance(server.pushes, Unknown)
    if mute and not needed:
        yield Finding(
            "rights",
            "warning",
            "the server lets this user not publish or not subscribe on callguard's channels",
            "gates wait for each other longer than need be",
            "give this user +publish, +subscribe and &callguard:*",
        )
    elif not needed:
        yield Finding("rights", "ok", "the server carries out every command that gates send")


@_of_the_server
def eviction(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the server may drop parts of the ledger when its memory is full."""
    why = "whenever it evicts a part of the ledger, nobody is admitted for a while"
    if isinstance(server.evicts, Unknown):
        yield _unknown("eviction", server.evicts, why)
        return
    if server.evicts is not None:
        yield Finding(
            "eviction",
            "warning",
            f"the server evicts keys when its memory is full (maxmemory-policy {server.evicts})",
            why,
            "set maxmemory-policy to noeviction, or use another server",
        )
        return
    info = {} if isinstance(server.info, Unknown) else server.info
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if most and used > _NEARLY_FULL * most:
        yield Finding(
            "eviction",
            "warning",
            f"{used / most:.0%} of the server's memory is used (maxmemory {most} bytes)",
            "when it is full, the server refuses to write, and nobody is admitted",
            "raise maxmemory, or remove what others keep there",
        )
    else:
        yield Finding("eviction", "ok", "the server evicts nothing")


@_of_the_server
def persistence(case: Case, server: Server) -> Iterator[Finding]:
    """Whether the server still has the ledger after a restart."""
    why = (
        "if the server restarts without its data, nobody is admitted until every call from before "
        "is surely in the count, about half a minute"
    )
    limited = [trunk.name for trunk in case.setup.trunks if trunk.calls is not None]
    if limited:
        why += f", and on {', '.join(limited)} until it is surely over, an hour by default"
    info = server.info
    if isinstance(info, Unknown):
        yield _unknown("persistence", info, why)
    elif info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding(
            "persistence",
            "warning",
            "the server's last attempt to save its data failed",
            "it may refuse to write until one succeeds, and then nobody is admitted",
            "look at the server's log and its disk",
        )
    elif info.get("aof_enabled"):
        yield Finding("persistence", "ok", "the server logs each change (appendonly)")
    elif isinstance(server.saves, Unknown):
        yield _unknown("persistence", server.saves, why)
    elif not server.saves:
        yield Finding(
            "persistence",
            "warning" if limited else "note",
            "the server saves nothing to its disk",
            why,
            "set appendonly yes, if restarts happen",
        )
    else:
        yield Finding("persistence", "ok", f"the server saves its data (save {server.saves})")


@_of_the_server
def replicas(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the address is that of a master, and what a failover may lose."""
    why = "a replica takes no changes, and a failover may lose the last ones"
    if isinstance(server.info, Unknown):
        yield _unknown("replicas", server.info, why)
        return
    role, connected = server.info.get("role"), int(server.info.get("connected_slaves", 0))
    if role == "slave":
        yield Finding(
            "replicas",
            "error",
            "the server is a replica",
            "it takes no changes, so nobody is admitted",
            "use the master's address, or RedisLedger(sentinel.master_for(...))",
        )
    elif connected and "min_slaves_good_slaves" not in server.info:
        yield Finding(
            "replicas",
            "note",
            f"the server has {connected} replica{'' if connected == 1 else 's'}, and doesn't wait "
            "for any",
            "a failover may lose the last changes; gates notice, and admit nobody for a while",
            "nothing, or set min-replicas-to-write 1, so that a master cut off from them stops",
        )
    else:
        followers = f"with {connected} replicas" if connected else "without replicas"
        yield Finding("replicas", "ok", f"the server is a master {followers}")


@_of_the_server
def round_trip(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the ledger's server answers soon enough."""
    if isinstance(server.exchanges, Unknown):
        yield _unknown("round trip", server.exchanges, "each admission takes a round trip at least")
        return
    took = sorted(each.seconds for each in server.exchanges)
    median, worst = median_low(took), took[-1]
    what = f"a round trip takes {_ms(median)}, the slowest of {len(took)} {_ms(worst)}"
    if median > _SLOW or worst > _LATE:
        yield Finding(
            "round trip",
            "warning",
            what,
            "each admission takes a round trip at least, and late answers look like a clock that "
            "was set",
            "use a server nearer to the gates, or look for what slows it down (SLOWLOG GET)",
        )
    else:
        yield Finding("round trip", "ok", what)


@_of_the_server
def server_clock(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the clock of the ledger's server goes on evenly."""
    if isinstance(server.exchanges, Unknown):
        why = "the ledger dates calls by that clock"
        yield _unknown("server clock", server.exchanges, why)
        return
    step = _step(server.exchanges)
    if abs(step) > _LATE:
        yield Finding(
            "server clock",
            "warning",
            f"the clock of the ledger's server went by {step:+.1f} s that nobody else saw pass",
            "calls are dated by it; a step admits none too early, but callers may wait longer",
            "let NTP slew the server's clock, and not set it",
        )
    else:
        yield Finding("server clock", "ok", "the clock of the ledger's server goes on evenly")


def _step(exchanges: Sequence[Exchange]) -> float:
    """Seconds by which the server's clock surely gained between two exchanges; 0 if it may not."""
    step = 0.0
    for one, other in pairwise(exchanges):
        gained = other.showed - one.showed
        most, least = other.received - one.sent, other.sent - one.received
        surely = max(0.0, gained - most) + min(0.0, gained - least)
        step = surely if abs(surely) > abs(step) else step
    return step


@_of_the_server
def cluster(_: Case, server: Server) -> Iterator[Finding]:
    """Whether the server is a single one, or a node of a cluster."""
    if isinstance(server.info, Unknown):
        yield _unknown("cluster", server.info, "a cluster needs a client of its own")
    elif server.info.get("cluster_enabled"):
        yield Finding(
            "cluster",
            "warning",
            "the server is a node of a cluster",
            "an address is taken for a single server, so gates fail where another node has their "
            "keys",
            "pass RedisLedger(RedisCluster.from_url(...)) to the gates",
        )
    else:
        yield Finding("cluster", "ok", "the server is a single one")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
