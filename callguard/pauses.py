"""How long the provider is left alone after a fault, or a trunk after a refusal."""

from __future__ import annotations

from typing import Final

__all__ = ["LONGEST_PAUSE", "PAUSE_AFTER_FAULT", "pause"]

PAUSE_AFTER_FAULT: Final = 0.1
"""Seconds from a fault to the next request at least, whoever wants it: a server that fails at once
is asked again only after a pause. Our own choice, a fifth of the longest first pause."""

LONGEST_PAUSE: Final = 5.0
"""Seconds from one attempt to the next in an outage, at most, unless a `ttl` is longer or the
provider asks for more: so soon after its end callers are admitted again. Our own choice."""

_MOST_DOUBLINGS: Final = 30


def pause(first: float, failures: int, longest: float = LONGEST_PAUSE) -> float:
    """Seconds from the last of so many failed attempts in a row to the next one.

    The pause is `first` after one, and twice as long after each more, up to `longest`, but for a
    `first` that is longer. ledger/redis/lua/readings.lua and rates.lua have the same for gates that
    share a ledger.
    """
    doubled = first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    return max(first, min(doubled, longest))
