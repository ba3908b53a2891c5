"""The counts that the server of a shared ledger last reported to a worker."""

from __future__ import annotations

from callguard.decision import Usage
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.wire import News

__all__ = ["Told"]


class Told:
    """The part of a `View` that has the server's counts, and the settings that say how to use them.

    Args:
        settings: the ledger's settings.

    Attributes:
        inbound_apart: whether inbound calls are counted apart; False once a call was refused.
        ends_free: whether calls that are known to be over free their slots at once; False once a
            call was refused.
    """

    def __init__(self, settings: Settings) -> None:
        self.inbound_apart = settings.inbound_apart
        self.ends_free = settings.ends_free
        self._settings = settings
        self._news = News((0, 0), spent=False, lost=False, snapshot=None)

    @property
    def gave_up(self) -> bool:
        """Whether any of these settings was given up."""
        given_up = self._settings.inbound_apart and not self.inbound_apart
        return given_up or (self._settings.ends_free and not self.ends_free)

    def see(self, news: News) -> None:
        """Take over the server's latest view of the whole ledger."""
        self._news = news
        if news.own is not None and news.own < 0:
            self.inbound_apart = self.ends_free = False

    def _told_usage(self, reported: int | None) -> Usage:
        """The usage of all workers, where the latest snapshot counts `reported` calls."""
        return self._news.usage(reported, apart=self.inbound_apart, ends_free=self.ends_free)

    def _told_in_use(self, reported: int) -> int:
        """The same in one number."""
        dialling, uncounted = self._news.counts
        return dialling + uncounted + reported - (self._news.ended if self.ends_free else 0)
