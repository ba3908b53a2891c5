"""Checks of what gates have written into their ledger: pauses, premises, and other ledgers."""

from __future__ import annotations

from collections.abc import Iterator

from callguard.doctor.case import Case
from callguard.doctor.finding import Finding, Unknown

__all__ = ["other_ledgers", "pauses", "premises", "shared_rates"]


def premises(case: Case) -> Iterator[Finding]:
    """Whether gates have seen a premise of the promise broken, or learnt a better setting."""
    if (contents := case.contents) is None or not contents.workers:
        return
    for premise in contents.premises:
        yield Finding(
            "premises",
            "warning",
            str(premise),
            "the promise holds only as long as its premises do: calls may be refused",
            "set what the gates advise; docs/guarantee.md says what else looks the same",
        )
    for setting in contents.given_up:
        yield Finding(
            "premises",
            "warning",
            f"{setting} is given up for as long as the ledger lives, since the provider has "
            "refused a call",
            "the gates use less of the limit than they were opened for",
            f"run `callguard probe` to find out whether {setting} is right for this workspace",
        )
    for suggestion in contents.suggestions:
        yield Finding(
            "premises",
            "note",
            str(suggestion),
            "with that setting the gates use more of the limit",
            f"open them with {suggestion.setting}, or run `callguard probe` first",
        )
    if not (contents.premises or contents.given_up or contents.suggestions):
        yield Finding("premises", "ok", "no gate on the ledger has seen a premise broken")


def pauses(case: Case) -> Iterator[Finding]:
    """Whether anything is paused at the gates on the ledger."""
    if (contents := case.contents) is None:
        return
    for pause in contents.pauses:
        yield Finding(
            "pauses",
            "warning",
            str(pause),
            "whoever it applies to stays in the queue",
            "`callguard resume` lifts it",
        )
    if not contents.pauses:
        yield Finding("pauses", "ok", "nothing is paused")


def other_ledgers(case: Case) -> Iterator[Finding]:
    """Whether another ledger on the server may belong to the same workspace."""
    if case.server is None or isinstance(case.server, Unknown):
        return
    others = case.server.others
    why = "gates on two ledgers of one workspace don't share its limit, and exceed it together"
    if isinstance(others, Unknown):
        yield Finding(
            "other ledgers",
            "unknown",
            others.reason,
            why,
            "let this user SCAN the server, or give all gates the same key or ledger name",
        )
        return
    snapshot = None if case.contents is None else case.contents.snapshot
    alike = [other.id for other in others if other.looks_like(snapshot)]
    for other in alike:
        yield Finding(
            "other ledgers",
            "warning",
            f"another ledger here, {other}, has the same limits and count",
            why,
            "if gates use different API keys of one workspace, give their ledgers one name",
        )
    if not alike:
        yield Finding("other ledgers", "ok", "no other ledger here looks like this one")


def shared_rates(case: Case) -> Iterator[Finding]:
    """Whether the gates on the ledger have the same trunks as this setup."""
    contents, setup = case.contents, case.setup
    if contents is None or not contents.workers:
        return
    ours = {trunk.name: trunk for trunk in setup.trunks}
    differs = False
    for theirs in contents.trunks:
        trunk = ours.get(theirs.name)
        if trunk is None:
            continue
        here = trunk.cps, trunk.window, trunk.calls
        there = theirs.cps, theirs.window, theirs.calls
        if here != there:
            differs = True
            yield Finding(
                "shared rates",
                "warning",
                f"trunk {trunk.name!r} has {_settings(*here)} here, and {_settings(*there)} at the "
                "gates on the ledger",
                "gates on one ledger share each rate, and each goes by its own settings",
                "give all gates the same trunks",
            )
    if not differs:
        yield Finding("shared rates", "ok", "the gates on the ledger have no other rates")


def _settings(cps: float | None, window: float | None, calls: int | None) -> str:
    said = [f"cps={cps if cps is None else format(cps, 'g')}"]
    said += [f"window={window:g}"] if window is not None else []
    said += [f"calls={calls}"] if calls is not None else []
    return ", ".join(said)
