"""Checks of a ledger's address: its parts and options, with errors that say what to do.

redis-py accepts any option in an address, and then fails at the first connection or ignores it.
This module knows every option, and quotes nothing that may be part of a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from callguard.errors import UsageError
from callguard.showing import shown, shown_host

__all__ = ["checked_address", "shown_address"]

_LIKE: Final = "it is like redis://localhost:6379/0"

_OWN_CLIENT: Final = "make the client yourself and pass RedisLedger(client)"

_SCHEMES: Final = {"redis", "rediss", "unix"}

_FLAGS: Final = {"true", "false", "yes", "no", "1", "0", "t", "f", "y", "n"}
"""The words that redis-py accepts for yes or no, in upper or lower case."""


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text) is not None


def _is_flag(text: str) -> bool:
    return text.lower() in _FLAGS


def _is_word(text: str) -> bool:
    return re.fullmatch(r"[!-~]+", text) is not None


_Check = tuple[Callable[[str], bool], str]

_TEXT: Final[_Check] = (bool, "not empty")
_FLAG: Final[_Check] = (_is_flag, "yes or no")

_OPTIONS: Final[dict[str, _Check]] = {
    "db": (_is_whole, "a whole number, such as 0"),
    "username": _TEXT,
    "password": _TEXT,
    "client_name": (_is_word, "one word, in ASCII"),
    "protocol": ({"2", "3"}.__contains__, "2 or 3"),
    "socket_keepalive": _FLAG,
}
"""The options that may follow the question mark, each with its check and what it must be."""

_TLS_OPTIONS: Final[dict[str, _Check]] = {
    "ssl_cert_reqs": ({"none", "optional", "required"}.__contains__, "none, optional or required"),
    "ssl_check_hostname": _FLAG,
    "ssl_ca_certs": _TEXT,
    "ssl_ca_data": _TEXT,
    "ssl_certfile": _TEXT,
    "ssl_keyfile": _TEXT,
}
"""The further options of rediss://, which every supported redis-py has."""

_SECRET: Final = {"username", "password", "ssl_ca_data"}

_ELSEWHERE: Final = {
    "timeout": "timeout",
    "socket_timeout": "timeout",
    "socket_connect_timeout": "timeout",
    "lease": "lease",
    "name": "name",
    "local_share": "local_share",
}
"""Options that belong to `RedisLedger`, with the names of its arguments."""


def checked_address(address: str) -> str:
    """Check the address of a ledger's server: ``redis://``, ``rediss://`` or ``unix://``.

    Raises:
        UsageError: it can't be used. The error names the part or the option, and what to do.
    """
    if any(c.isspace() or not c.isprintable() for c in address):
        raise _unusable("has white space in it: leave it out, or write it as %20 in a password")
    try:
        parts = urlsplit(address)
    except ValueError:  # such as a bracket that isn't closed
        raise _unusable(f"has a host that can't be one; {_LIKE}") from None
    _check_parts(parts)
    _check_options(parts)
    return address


def shown_address(address: str) -> str:
    """A checked address as people may see it: without the user, the password and the options."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme not in _SCHEMES:
        got = shown_host(parts.geturl())
        must = "must begin with redis://, rediss:// or unix://, such as redis://localhost:6379/0"
        raise _unusable(
            f"{must}, got {got}" if got else must,
            missing="client",
            remedy=f"for a Sentinel or a cluster, {_OWN_CLIENT}",
        )
    if parts.fragment:
        raise _unusable("has a '#' in it: in a password it is written %23")
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise _unusable("must name a socket, like unix:///run/redis/redis.sock?db=0")
        return
    try:
        port = parts.port
    except ValueError:
        port = -1
    if port is not None and not 0 < port < 2**16:
        raise _unusable(
            "has a port that is none: a whole number from 1 to 65535; in a password, "
            "'/' is written %2F and '?' %3F"
        )
    if parts.path.strip("/") and not _is_whole(parts.path.strip("/")):
        raise _unusable(f"has a database that is no whole number after the host; {_LIKE}")


def _check_options(parts: SplitResult) -> None:
    seen = set()
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if not name.isidentifier():
            raise _unusable("has a '?' that no option follows: in a password it is written %3F")
        if name in seen:
            raise _unusable(f"has the option {name} twice: leave one out")
        seen.add(name)
        is_right, must_be = _check_of(parts.scheme, name)
        if not is_right(value):
            got = "" if name in _SECRET else f", got {shown(value)}"
            raise _unusable(f"has an option {name} that must be {must_be}{got}")
    if "db" in seen and parts.scheme != "unix" and parts.path.strip("/"):
        raise _unusable("names the database twice, after the host and as the option db")


def _check_of(scheme: str, name: str) -> _Check:
    if name in _ELSEWHERE:
        argument = _ELSEWHERE[name]
        raise _unusable(
            f"has an option {name}, which is no part of it",
            missing=argument,
            remedy=f"leave it out and pass RedisLedger.from_url(address, {argument}=...)",
        )
    if name in _TLS_OPTIONS and scheme != "rediss":
        raise _unusable(f"has an option {name}, which is for rediss:// alone: begin it so")
    known = _OPTIONS | (_TLS_OPTIONS if scheme == "rediss" else {})
    if name not in known:
        raise _unusable(
            f"has an option {name}, which no ledger has; the options are {', '.join(known)}",
            missing="other options",
            remedy=f"leave it out, or {_OWN_CLIENT}",
        )
    return known[name]


def _unusable(problem: str, *, missing: str | None = None, remedy: str = "") -> UsageError:
    return UsageError(problem, subject="the ledger's address", missing=missing, remedy=remedy)
