"""``callguard status``: shows the workspace's limits, use and headroom to people or scripts."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from callguard.arguments import checked_seconds
from callguard.cli.contents import look
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report, verdict
from callguard.cli.options import BaseUrlOption, LedgerOption, NameOption, PlainHttpOption
from callguard.cli.running import run
from callguard.cli.saying import say
from callguard.cli.screen import Screen
from callguard.cli.tables import figures
from callguard.decision import Decision, Usage, decide
from callguard.errors import (
    CallGuardError,
    UsageError,
)
from callguard.fetcher import LimitFetcher
from callguard.fetcher.settings import checked_api_key
from callguard.lanes import DEFAULT_LANE, Lane
from callguard.limits import Limits, Snapshot

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents

__all__ = ["Standing", "status"]

_LONGEST_ATTEMPT = 5.0
"""Seconds for one attempt, as in the fetcher, so that a longer --timeout allows a second one."""


def status(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, on errors too.")
    ] = False,
    base_url: BaseUrlOption = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long to try to get an answer."),
    ] = 10.0,
    allow_plain_http: PlainHttpOption = False,
    ledger: LedgerOption = None,
    name: NameOption = None,
) -> None:
    """Show the workspace's limits, use and headroom.

    The key is read from RETELL_API_KEY only: on the command line it would stay in the shell's
    history. With --ledger, the calls that gates on a shared ledger are dialling, and those that
    they have placed and the provider may not count yet, are in use too; what is paused is shown,
    and each limited trunk. Our calls are distinguished from others' if all gates of the ledger have
    `reserved_inbound="outbound"` or `ends_free_at_once=True`; else it is unknown whose the
    calls are. Warns if a refusal has given such a setting up, and suggests what gates have learnt.

    Exit code: 0 a call fits without burst, 75 none does (the room with burst is shown as well) or
    all is paused, 77 the key was refused, 69 the provider or the ledger can't be reached, 65 the
    answer is malformed, 64 wrong use, 74 the output can't be written, 78 redis-py is not installed.
    An error is one line on stderr; with --json it is an object on stdout as well.
    """
    run(_status(Question(base_url, timeout, allow_plain_http, ledger, name), as_json))


@dataclass(frozen=True, slots=True)
class Question:
    """The options of the command."""

    base_url: str | None
    timeout: float
    allow_plain_http: bool
    ledger: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the workspace by one snapshot.

    Attributes:
        snapshot: the provider's answer.
        plain: whether a call fits on a lane without burst.
        burst: whether one fits on a lane that may burst as far as the workspace allows.
        contents: the shared ledger's contents before the reading; None without --ledger.
    """

    snapshot: Snapshot
    plain: Decision
    burst: Decision
    contents: Contents | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, contents: Contents | None = None) -> Standing:
        """Make the standing at the moment when `snapshot` was received."""
        usage = _usage(snapshot.limits, contents)
        withheld = None if contents is None else contents.withheld_from(contents.now)
        plain, burst = (
            decide(
                lane,
                usage,
                snapshot,
                now=snapshot.received,
                max_age=math.inf,
                withheld=withheld,
                pause=None if contents is None else contents.pause,
                inbound=None if contents is None else contents.inbound_by(usage),
            )
            for lane in (DEFAULT_LANE, Lane("burst", burst="all"))
        )
        return cls(snapshot, plain, burst, contents)

    @property
    def exit_code(self) -> ExitCode:
        """`OK` if a call fits without burst, else `FULL`."""
        return ExitCode.OK if self.plain.admitted else ExitCode.FULL

    @property
    def seconds(self) -> float:
        """Seconds that the reading took, which is also the snapshot's age when it was received."""
        return self.snapshot.received - self.snapshot.began

    def as_json(self) -> dict[str, object]:
        """Return a JSON object with the provider's nine fields and the figures derived from them.

        A field that the provider left out is null. With a shared ledger, its figures are added,
        what is paused there, and its trunks.
        """
        return {
            "fits": self.plain.admitted,
            "headroom": self.plain.headroom,
            "headroom_with_burst": self.burst.headroom,
            "seconds": round(self.seconds, 3),
            "reason": str(self.plain),
            **asdict(self.snapshot.limits),
            "own": self.plain.usage.own,
            "others": self.plain.usage.others,
            **self._shared(),
            **self._steered(),
        }

    def as_table(self) -> Table:
        """Return a table with the same figures, for people."""
        limits = self.snapshot.limits
        return figures(
            {
                "in use": limits.current_concurrency,
                **self._ledger_rows(),
                "limit": limits.concurrency_limit,
                "reserved for inbound": limits.reserved_inbound_concurrency,
                "burst limit": _burst_limit(limits),
                "headroom": self.plain.headroom,
                "headroom with burst": self.burst.headroom,
                "read in": f"{self.seconds:.2f} s",
            }
        )

    def _steered(self) -> dict[str, object]:
        if self.contents is None:
            return {}
        shared = self.contents.as_json()
        steered = "pauses", "trunks", "premises", "given_up", "suggestions"
        return {each: shared[each] for each in steered}

    def _ledger_rows(self) -> dict[str, object]:
        if self.contents is None:
            return {}
        usage, shared = self.plain.usage, self._shared()
        if self.contents.pauses:
            shared["waiting, not paused"] = shared.pop("waiting")
        return {"ours": _known(usage.own), "others": _known(usage.others), **shared}

    def _shared(self) -> dict[str, int]:
        if self.contents is None:
            return {}
        return {
            "dialling": self.plain.usage.dialling,
            "uncounted": self.plain.usage.uncounted,
            "waiting": sum(queue.callers for queue in self.contents.waiting),
        }


async def _status(question: Question, as_json: bool) -> ExitCode:
    try:
        standing = await _read(question)
    except CallGuardError as error:
        return report(error, *verdict(error, "status"), as_json=as_json)
    if as_json:
        print(json.dumps(standing.as_json()))
    else:
        _show(standing)
    return standing.exit_code


async def _read(question: Question) -> Standing:
    key = checked_api_key(None)
    try:
        checked_seconds("--timeout", question.timeout, above_zero=True)
    except ValueError as error:
        raise UsageError(str(error)) from None
    async with LimitFetcher(
        key,
        base_url=question.base_url,
        timeout=min(question.timeout, _LONGEST_ATTEMPT),
        deadline=question.timeout,
        allow_plain_http=question.allow_plain_http,
    ) as fetcher:
        found = None
        if question.ledger:
            # The ledger comes first: a later snapshot counts every call that has left it by then.
            found = await look(question.ledger, question.name, key)
            found.warn()
        return Standing.of(await fetcher.get(), None if found is None else found.contents)


def _usage(limits: Limits, contents: Contents | None) -> Usage:
    if contents is None:
        return Usage(limits.current_concurrency, dialling=0, uncounted=0)
    return contents.usage_by(limits)


def _show(standing: Standing) -> None:
    console = Screen()
    console.print(standing.as_table())
    for trunk in () if standing.contents is None else standing.contents.trunks:
        say(str(trunk))
    say(str(standing.plain))


def _known(calls: int | None) -> str:
    return "unknown" if calls is None else str(calls)


def _burst_limit(limits: Limits) -> str:
    return str(limits.concurrency_burst_limit) if limits.concurrency_burst_enabled else "off"
