"""What one worker's failed turn means to the others."""

from __future__ import annotations

from typing import Any

import pytest

from callguard import (
    CallGuardError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)
from callguard.ledger.redis.failure import Failure, key_mark, reason

MINE, OTHER = key_mark("key_mine"), key_mark("key_other")


def heard(error: CallGuardError, **changes: Any) -> Failure:
    """What another worker, of the key `OTHER`, says of this error."""
    return Failure.parse({"token": 7, **reason(error, OTHER, 0.5), **changes})


@pytest.mark.parametrize(
    "error",
    [
        LimitsUnavailable("HTTP 503", status=503),
        LimitsUnavailable("no answer"),
        LimitsMalformed("no JSON"),
        LimitsRejected("HTTP 404", 404),
        LimitsRejected("HTTP 403", 403),
    ],
)
def test_what_is_the_providers_fault_concerns_all(error: CallGuardError) -> None:
    """Gates would not know of the outage that keeps their callers waiting."""
    for mark in (MINE, OTHER):
        found = heard(error).error_for(mark)
        assert type(found) is type(error)
        assert str(found) == str(error)
        assert getattr(found, "status", None) == getattr(error, "status", None)


def test_a_refused_key_concerns_those_who_have_it() -> None:
    """One withdrawn key would fail the callers of every other."""
    refused = heard(LimitsRejected("HTTP 401", 401))
    assert isinstance(refused.error_for(OTHER), LimitsRejected)
    assert refused.error_for(MINE) is None


def test_what_is_a_workers_own_fault_concerns_nobody_else() -> None:
    """A session that one worker has closed would be every worker's error."""
    assert heard(UsageError("Session is closed")).error_for(OTHER) is None


def test_whatever_stands_on_the_server_forges_no_log() -> None:
    """Anybody who may write to the server could write into the log of every worker."""
    error = heard(LimitsUnavailable(""), text="no\r\n\x1b[2Jall is well" + "x" * 10_000)
    assert error.text.startswith("no[2Jall is wellxxx")
    assert len(error.text) == 500


@pytest.mark.parametrize("name", ["token", "text", "kind", "status", "mark", "took"])
def test_what_says_too_little_is_an_error(name: str) -> None:
    """Half a failure would be taken for one."""
    said = {"token": 7, **reason(LimitsUnavailable("HTTP 503"), OTHER, 0.5)}
    del said[name]
    with pytest.raises(KeyError):
        Failure.parse(said)
