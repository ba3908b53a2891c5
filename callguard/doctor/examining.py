"""The examination: gathers the facts of a case, and runs every check on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from callguard.doctor import clock, ledger, provider, rates, sharing, webhooks, workspace
from callguard.doctor.case import Case, Setup
from callguard.doctor.deliveries import Answer, Kind, send
from callguard.doctor.finding import SEVERITIES, Finding, Unknown
from callguard.doctor.readings import Readings, take
from callguard.errors import MissingExtra, UsageError
from callguard.fetcher.settings import checked_api_key
from callguard.ledger.redis.client import client_at

if TYPE_CHECKING:
    from callguard.doctor.server import Server

__all__ = ["CHECKS", "examine", "judge"]

CHECKS: Final[Mapping[str, Callable[[Case], Iterable[Finding]]]] = {
    "key": provider.key,
    "address": provider.address,
    "answers": provider.answers,
    "clock": clock.clock,
    "limit": workspace.limit,
    "lanes": workspace.lanes,
    "room": workspace.room,
    "burst": workspace.burst,
    "trunks": rates.trunks,
    "filling": rates.filling,
    "ledger": ledger.ledger,
    "encryption": ledger.encryption,
    "version": ledger.version,
    "rights": ledger.rights,
    "eviction": ledger.eviction,
    "persistence": ledger.persistence,
    "replicas": ledger.replicas,
    "round trip": ledger.round_trip,
    "server clock": ledger.server_clock,
    "cluster": ledger.cluster,
    "other ledgers": sharing.other_ledgers,
    "shared rates": sharing.shared_rates,
    "premises": sharing.premises,
    "pauses": sharing.pauses,
    "signature": webhooks.signature,
    "receiver": webhooks.receiver,
}
"""Every check by its name. docs/doctor.md has a table of them, with what each asks."""


_CONNECTING: Final = 2.0
"""Seconds to connect to the ledger's server."""


async def examine(setup: Setup) -> list[Finding]:
    """Gather the facts, and judge them. Cancelling leaves nothing behind.

    Args:
        setup: what is examined.

    Returns:
        The findings, the worst first.
    """
    # The ledger comes first: a later snapshot counts every call that has left it by then.
    server = await _server(setup)
    readings, answers = await asyncio.gather(_readings(setup), _answers(setup))
    return judge(Case(setup=setup, server=server, readings=readings, answers=answers))


def judge(case: Case) -> list[Finding]:
    """Run every check on a case, also if one of them fails; the worst findings come first."""
    findings = [each for name, check in CHECKS.items() for each in _run(name, check, case)]
    return sorted(findings, key=lambda each: SEVERITIES.index(each.severity))


def _run(name: str, check: Callable[[Case], Iterable[Finding]], case: Case) -> list[Finding]:
    try:
        return list(check(case))
    except Exception as fault:  # noqa: BLE001 - whatever one check meets, the others go on
        return [
            Finding(
                name,
                "unknown",
                f"the check failed with {type(fault).__name__}",
                "this is a defect of callguard, and says nothing of your setup",
                "report it, with the options of the command",
            )
        ]


async def _readings(setup: Setup) -> Readings:
    try:
        return await take(setup.api_key, setup.base_url, allow_plain_http=setup.allow_plain_http)
    except UsageError:  # the checks of the key and of the address say which
        return Readings()


async def _server(setup: Setup) -> Server | Unknown | None:
    if setup.ledger is None:
        return None
    try:
        client = client_at(setup.ledger, _CONNECTING)
    except MissingExtra as error:
        return Unknown(str(error), "install it, and run this again")
    except UsageError as error:
        return Unknown(str(error), "give an address like redis://localhost:6379/0")
    from callguard.doctor.server import look_at  # noqa: PLC0415 - redis-py is an extra

    async with client:
        return await look_at(client, setup.ledger_name or _key(setup) or "")


async def _answers(setup: Setup) -> Mapping[Kind, Answer] | None:
    if setup.webhook_url is None or (key := _key(setup)) is None:
        return None
    return await send(setup.webhook_url, key)


def _key(setup: Setup) -> str | None:
    try:
        return checked_api_key(setup.api_key)
    except UsageError:  # the check of the key says so
        return None
