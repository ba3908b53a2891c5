"""Reports the settings that a gate gave up at a refusal, as they rest on the provider's word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from callguard.gate.reporting import Reporter
from callguard.ledger import Ledger

__all__ = ["reporting"]

_SETTINGS: Final = {"inbound_apart": "reserved_inbound", "ends_free": "ends_free_at_once"}
"""The settings of `open_gate` by the ledger's attributes that say whether it goes by them."""


def reporting(ledger: Ledger, serve: Callable[[], None], reporter: Reporter) -> Callable[[], None]:
    """Return `serve`, or a function that calls it, and then reports what was given up.

    Args:
        ledger: the gate's ledger.
        serve: admits everyone in the queues who fits.
        reporter: reports each setting once.
    """
    believed = [each for each in _SETTINGS if getattr(ledger, each)]
    if not believed:
        return serve

    def serve_and_look() -> None:
        serve()
        for each in [each for each in believed if not getattr(ledger, each)]:
            believed.remove(each)
            reporter.gave_up(_SETTINGS[each])

    return serve_and_look
