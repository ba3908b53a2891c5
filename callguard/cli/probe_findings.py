"""The findings of ``callguard probe``, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from callguard.cli.saying import say
from callguard.cli.screen import Screen
from callguard.probe import AtTheLimit, Findings, Lag

__all__ = ["as_json", "show"]

_NOT_ASKED = "not asked"


def as_json(findings: Findings) -> dict[str, object]:
    """The findings as a JSON object; what isn't known is null."""
    return {
        "clear": findings.is_clear,
        "counts_ringing": findings.counts_ringing,
        "snapshots": findings.snapshots,
        "counter_lag": findings.counter_lag,
        "rise_lag": _lag_as_json(findings.rise_lag),
        "fall_lag": _lag_as_json(findings.fall_lag),
        "falls_at_once": findings.falls_at_once,
        "ends_free_at_once": findings.ends_free_at_once,
        "reserved_inbound": findings.reserved_inbound,
        "settings": findings.settings,
        "reason": findings.reason,
        "remark": findings.remark,
        "at_the_limit": findings.at_the_limit and asdict(findings.at_the_limit),
    }


def _lag_as_json(lag: Lag | None) -> dict[str, object] | None:
    if lag is None:
        return None
    at_least, at_most = round(lag.at_least, 3), round(lag.at_most, 3)
    return {"at_least": at_least, "at_most": at_most, "snapshots": lag.snapshots}


def show(findings: Findings) -> None:
    """Print the findings; the last line is the call of `open_gate` to paste, if there is one."""
    if findings.settings is None:
        say(f"Not clear, try again: {findings.reason}.")
        return
    Screen().print(_table(findings))
    for sentence in _sentences(findings):
        say(f"{sentence[0].upper()}{sentence[1:]}.")
    # Not with rich, which would wrap the line that is to be pasted.
    print(findings.settings)


def _table(findings: Findings) -> Table:
    table = Table("", "found", "snapshots")
    counted = "yes" if findings.counts_ringing else "no"
    table.add_row("ringing calls are counted", counted, str(findings.snapshots))
    table.add_row("the counter rises late by", *_lag_cells(findings.rise_lag))
    table.add_row("the counter falls late by", *_lag_cells(findings.fall_lag))
    table.add_row("it falls at once when a call is over", _seen(findings.falls_at_once), "")
    if (at_the_limit := findings.at_the_limit) is not None:
        table.add_row("calls are refused by", _refused_by(at_the_limit), "")
        table.add_row("the reservation for inbound bounds", _reserved_inbound(at_the_limit), "")
    return table


def _lag_cells(lag: Lag | None) -> tuple[str, str]:
    if lag is None:
        return "not seen", "0"
    return f"{lag.at_least:.1f} to {lag.at_most:.1f} s", str(lag.snapshots)


def _seen(holds: bool) -> str:
    return "yes" if holds else "not seen"


def _refused_by(found: AtTheLimit) -> str:
    if found.refused_by is None:
        return "not clear" if found.refused_by_reason else _NOT_ASKED
    return "the calls going on" if found.refused_by == "calls" else "the late counter"


def _reserved_inbound(found: AtTheLimit) -> str:
    if found.reserved_inbound is None:
        return "not clear" if found.reserved_inbound_reason else _NOT_ASKED
    return "outbound calls alone" if found.reserved_inbound == "outbound" else "all calls together"


def _sentences(findings: Findings) -> list[str]:
    """What a table can't say: what is less sure, not known or not asked, and why."""
    sentences = [findings.remark]
    found = findings.at_the_limit
    if found is None:
        sentences.append(_left_to_ask(findings))
    else:
        sentences += [f"not asked {each}" for each in found.needless]
        if found.refused_by_reason:
            sentences.append(f"not clear what calls are refused by: {found.refused_by_reason}")
        if found.reserved_inbound_reason:
            reason = found.reserved_inbound_reason
            sentences.append(f"not clear what is reserved for inbound calls: {reason}")
    return [sentence for sentence in sentences if sentence]


def _left_to_ask(findings: Findings) -> str:
    if findings.ends_free_at_once is not None:
        return ""
    return (
        "whether ends_free_at_once=True is safe isn't known, since the counter wasn't seen to fall "
        "at once: --at-the-limit finds out, by many calls"
    )
