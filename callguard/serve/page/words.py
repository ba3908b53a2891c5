"""Durations, moments and sentences as the page shows them, and the marks by which they tick.

A duration that goes on by itself stands in ``<span data-since="...">`` or ``<span
data-until="...">``, with the moment in seconds since 1970 on the server's clock; the page's script
writes it anew between two updates. Such a span is the same from one rendering to the next.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

__all__ = ["clock", "dollars", "duration", "live", "since", "unticked", "until"]

_MARK: Final = re.compile(r'(<span data-(?:since|until)="[^"]*")>[^<]*<')

_TICKING: Final = re.compile(
    r"(?P<until>\bin (?:about )?)(?P<left>\d+(?:\.\d+)?) s\b(?! ago)"
    r"|(?<![\d.])(?P<ago>\d+(?:\.\d+)?) s(?= ago\b)"
    r"|(?P<since>\bfor )(?P<gone>\d+(?:\.\d+)?) s(?=, the latest error)"
)
"""The durations that go on, in the sentences of `callguard.decision`."""


def duration(seconds: float) -> str:
    """Seconds in words: ``0.7 s``, ``42 s``, ``6 min 52 s``, ``2 h 5 min``."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def since(moment: float, now: float) -> Markup:
    """How long ago a moment was, ticking."""
    return Markup('<span data-since="{:.1f}">{}</span>').format(moment, duration(now - moment))


def until(moment: float, now: float) -> Markup:
    """How long it is until a moment, ticking."""
    return Markup('<span data-until="{:.1f}">{}</span>').format(moment, duration(moment - now))


def live(sentence: str, now: float) -> Markup:
    """A sentence, escaped, in which the durations that go on tick."""

    def ticking(found: re.Match[str]) -> str:
        if (left := found["left"]) is not None:
            return found["until"] + until(now + float(left), now)
        ago = found["ago"] or found["gone"]
        return (found["since"] or "") + since(now - float(ago), now)

    return Markup(_TICKING.sub(ticking, str(escape(sentence))))  # noqa: S704 (it is escaped)


def unticked(html: str) -> str:
    """The HTML without what only went on with the time."""
    return _MARK.sub(r"\1><", html)


def clock(moment: float) -> Markup:
    """The time of day, in UTC; the page's script turns it into that of the reader."""
    utc = datetime.fromtimestamp(moment, UTC)
    return Markup('<time datetime="{}" data-at="{:.0f}">{} UTC</time>').format(
        utc.isoformat(timespec="seconds"), moment, utc.strftime("%H:%M:%S")
    )


def dollars(amount: float) -> str:
    """Dollars and cents."""
    return f"${amount:,.2f}"
