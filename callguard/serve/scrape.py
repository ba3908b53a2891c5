"""The metrics of all gates of one server, in Prometheus' own text."""

from __future__ import annotations

from collections.abc import Sequence

from callguard import metrics
from callguard.errors import MissingExtra
from callguard.events import Listener

__all__ = ["Scrape"]


class Scrape:
    """What a scrape of the server shows: its open gates, and what the closed ones have counted.

    Attributes:
        listeners: what each gate reports to; empty where prometheus_client is not installed.
    """

    def __init__(self) -> None:
        self.listeners: Sequence[Listener] = ()
        self._missing: MissingExtra | None = None
        try:
            from prometheus_client import CollectorRegistry

            self._registry = CollectorRegistry()
            self._sink = metrics.prometheus(self._registry)
            self.listeners = [self._sink]
        except ImportError:
            self._missing = MissingExtra(
                "metrics need prometheus_client",
                "prometheus",
                "pip install 'prometheus-client>=0.20'",
            )

    def forget_unread(self, workspace: str) -> None:
        """Forget what closed gates have counted of a workspace whose limits were never read."""
        if self._missing is None:
            self._sink.forget_unread(workspace)

    def text(self) -> tuple[bytes, str]:
        """Return the metrics as they are now, and the type of that text.

        Raises:
            MissingExtra: prometheus_client is not installed.
        """
        if self._missing is not None:
            raise self._missing
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
