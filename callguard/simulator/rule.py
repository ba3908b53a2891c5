"""The provider's rule for outbound calls, in either of two forms."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OutboundRule"]


@dataclass(frozen=True, slots=True)
class OutboundRule:
    """Which counts an outbound call may bring about.

    The provider documents one form: outbound calls may use the limit less what is reserved for
    inbound calls, and inbound calls the full limit, so that an inbound call takes nothing from
    outbound ones while all of them are below the full limit (docs.retellai.com/deploy/concurrency,
    read 2026-11-22). In the other form the reserve stays free whoever else calls. Public clones of
    the provider have either.

    Args:
        full_limit: calls that may be live at once.
        ceiling: the full limit less the reserve; what it bounds depends on the form.
        inbound_apart: whether it bounds the outbound calls alone, as documented, or all calls.
    """

    full_limit: int
    ceiling: int
    inbound_apart: bool

    def excess(self, count: int, outbound: int) -> int:
        """By how many calls these counts exceed what is allowed; negative if they are below.

        Args:
            count: all calls.
            outbound: the outbound calls among them.
        """
        if self.inbound_apart:
            return max(count - self.full_limit, outbound - self.ceiling)
        return count - self.ceiling
