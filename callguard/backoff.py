"""Back-offs: how long to wait after a fault of the provider, or on a trunk after a refusal."""

from __future__ import annotations

from typing import Final

__all__ = ["LEAST_BACKOFF", "LONGEST_BACKOFF", "backoff"]

LEAST_BACKOFF: Final = 0.1
"""Seconds from a fault to the next request, at least, so that a server that fails at once is asked
again only after a while. Our own choice, a fifth of the longest first back-off."""

LONGEST_BACKOFF: Final = 5.0
"""Seconds from one attempt to the next in an outage, at most, unless a `ttl` is longer or the
provider asks for more. So callers are admitted soon after its end. Our own choice."""

_MOST_DOUBLINGS: Final = 30


def backoff(first: float, failures: int, longest: float = LONGEST_BACKOFF) -> float:
    """Seconds from the last of `failures` failed attempts in a row to the next attempt.

    The back-off is `first` after one failure, and doubles with each further one, up to `longest`,
    or `first` if that is longer. ledger/redis/lua/readings.lua and rates.lua have the same rule for
    gates that share a ledger.
    """
    doubled = first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    return max(first, min(doubled, longest))
