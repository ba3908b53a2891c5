"""Checks of the key, of the provider's address, and of its answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median_low
from typing import Final
from urllib.parse import urlsplit

from callguard.doctor.case import Case
from callguard.doctor.finding import Finding
from callguard.doctor.readings import READINGS
from callguard.errors import LimitsMalformed, LimitsRejected, UsageError
from callguard.fetcher.settings import PRODUCTION_URL, checked_api_key, checked_base_url

__all__ = ["address", "answers", "key"]

_KEY_REFUSED: Final = {
    401: "the provider doesn't know the key",
    402: "the provider wants to be paid first",
    403: "the provider doesn't let this key read the limits",
}
"""What a status says of a key (docs.retellai.com/api-references, read 2026-11-22; 403 is listed
nowhere)."""

_PLACEHOLDER: Final = re.compile(
    r"""["'<${].*|.*["'>}]|(your|my)[-_].*|x{4,}|\.{3}""", re.IGNORECASE
)
"""A key in quotes, or in words of a manual, such as YOUR_RETELL_API_KEY."""

_SLOW: Final = 1.0
"""Seconds, the default `ttl`: a count that is older when it comes holds calls back."""


def key(case: Case) -> Iterator[Finding]:
    """Whether there is a key, it looks like one, and the provider accepts it."""
    try:
        api_key = checked_api_key(case.setup.api_key)
    except UsageError as error:
        yield Finding(
            "key",
            "error",
            error.problem,
            "without a key the limits can't be read, so no call is admitted",
            "set RETELL_API_KEY to a key from the provider's dashboard",
        )
        return
    if _PLACEHOLDER.fullmatch(api_key):
        yield Finding(
            "key",
            "warning",
            "the key is in quotes, or is the placeholder of a manual",
            "such a key is sent as it stands, and the provider refuses it",
            "copy the key again from the provider's dashboard, without quotes",
        )
    yield from _accepted(case)


def _accepted(case: Case) -> Iterator[Finding]:
    rejection = case.readings.rejection
    if rejection is not None and rejection.status in _KEY_REFUSED:
        yield Finding(
            "key",
            "error",
            f"{_KEY_REFUSED[rejection.status]}: {rejection}",
            "the limits can't be read, so no call is admitted",
            "check in the provider's dashboard that the key is valid and the account is paid for",
        )
    elif case.limits is not None:
        yield Finding("key", "ok", "the provider accepts the key")
    else:
        yield Finding(
            "key",
            "unknown",
            "the provider gave no answer by which to judge the key",
            "a refused key would stop all calls",
            "mend the address or the network first, and run this again",
        )


def address(case: Case) -> Iterator[Finding]:
    """Whether the address can be used, is encrypted, and leads to the provider."""
    setup = case.setup
    try:
        url = checked_base_url(setup.base_url, allow_plain_http=setup.allow_plain_http)
    except UsageError as error:
        yield Finding(
            "address",
            "error",
            f"the provider's address {error.problem}",
            "nothing is sent to such an address, so no call is admitted",
            f"set it to {PRODUCTION_URL}, or leave it out",
        )
        return
    unencrypted = urlsplit(url).scheme == "http" and not _is_this_machine(url)
    if unencrypted:
        yield Finding(
            "address",
            "warning",
            f"{url} is plain http to another machine",
            "anyone on the way can read the key, and place calls with it",
            "use https",
        )
    wrong = list(_not_the_provider(case, url))
    yield from wrong
    if url != PRODUCTION_URL and not (unencrypted or wrong):
        yield Finding(
            "address",
            "note",
            f"{url} is not the provider's own address, {PRODUCTION_URL}",
            "a simulator, or another gateway, has limits and a count of its own",
            "leave it as it is if you mean that one, else unset RETELL_BASE_URL",
        )
    elif not (unencrypted or wrong):
        yield Finding("address", "ok", f"{url} is the provider's own")


def _is_this_machine(url: str) -> bool:
    try:
        checked_base_url(url, allow_plain_http=False)
    except UsageError:
        return False
    return True


def _not_the_provider(case: Case, url: str) -> Iterator[Finding]:
    rejection = case.readings.rejection
    malformed = [each for each in case.readings.faults if isinstance(each, LimitsMalformed)]
    if rejection is not None and 300 <= rejection.status < 400:
        yield Finding(
            "address",
            "error",
            f"{url} redirects: {rejection}",
            "the key would go along, so no redirect is followed, and no call is admitted",
            "set the address to where it leads, if that is the provider",
        )
    elif rejection is not None and rejection.status not in _KEY_REFUSED:
        yield Finding(
            "address",
            "error",
            f"{url} doesn't know what it was asked: {rejection}",
            "it isn't the provider's address, or has another path, so no call is admitted",
            f"set it to {PRODUCTION_URL}, without a path, or leave it out",
        )
    if malformed:
        yield Finding(
            "address",
            "error",
            str(malformed[-1]),
            "an answer that can't be right is no count, so no call is admitted by it",
            "check that the address is the provider's, and not that of a page or a proxy",
        )


def answers(case: Case) -> Iterator[Finding]:
    """Whether the limits can be read each time, and how long that takes."""
    readings = case.readings
    if all(isinstance(each, LimitsMalformed | LimitsRejected) for each in readings.outcomes):
        return  # the other checks say why
    failed, tried = len(readings.faults), len(readings.outcomes)
    if failed == tried:
        yield Finding(
            "answers",
            "error",
            f"none of {READINGS} readings succeeded: {readings.faults[-1]}",
            "an unknown count is never 0, so no call is admitted",
            "check the network and the provider's status page, and run this again",
        )
        return
    if failed:
        yield Finding(
            "answers",
            "warning",
            f"{failed} of {tried} readings failed: {readings.faults[-1]}",
            "calls wait while the limits can't be read",
            "check the network and the provider's status page, and run this again",
        )
    median, worst = median_low(readings.seconds), readings.seconds[-1]
    took = f"an answer took {median:.2f} s, the slowest of {len(readings.seconds)} {worst:.2f} s"
    if median > _SLOW:
        yield Finding(
            "answers",
            "warning",
            took,
            f"a count is as old as its request, and above {_SLOW:g} s it comes too late to use all "
            "of the limit",
            "run nearer to the provider, or check the network",
        )
    elif not failed:
        yield Finding("answers", "ok", took)
