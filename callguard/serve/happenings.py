"""The latest events of a workspace, kept once for all who follow them, each at its own speed."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from callguard.events import Event
from callguard.serve.batches import BatchForwarded

__all__ = ["Follower", "Happenings"]

KEPT: Final = 1_000
"""Events that are kept. At 50 calls a second that is what happens in about 5 s. Our own choice."""

_AT_ONCE: Final = 100
"""Events that a follower takes at once, so that a slow client doesn't hold them all in memory."""


class Happenings:
    """A listener of a gate that keeps the latest events, and wakes those who follow them.

    Nothing is kept for a follower but its position, so a slow one costs nothing. An event is
    written out only once, and only if somebody follows.

    Args:
        now: the wall clock, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.id: Final = secrets.token_hex(4)
        self._now = now
        self._kept: deque[tuple[float, Event | BatchForwarded]] = deque(maxlen=KEPT)
        self._written: dict[int, bytes] = {}
        self._news = asyncio.Event()
        self.latest = 0
        self.over = False

    def __call__(self, event: Event | BatchForwarded) -> None:
        """Keep an event."""
        self._kept.append((self._now(), event))
        self.latest += 1
        self._wake()

    def follow(self, after: str = "") -> Follower:
        """Follow the events from now on, or those after the one with the id `after`."""
        name, _, number = after.partition("-")
        known = name == self.id and number.isascii() and number.isdigit()
        position = int(number) if known and len(number) < 19 else self.latest
        return Follower(self, min(position, self.latest))

    def end(self) -> None:
        """End the following, because the server stops."""
        self.over = True
        self._wake()

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is kept; the first one has number 1."""
        return self.latest - len(self._kept) + 1

    def written(self, number: int) -> bytes:
        """A kept event as a server-sent one."""
        text = self._written.get(number)
        if text is None:
            at, event = self._kept[number - self.oldest]
            name = type(event).__name__
            data = json.dumps({"event": name, "at": at} | asdict(event))
            text = f"event: {name}\nid: {self.id}-{number}\ndata: {data}\n\n".encode()
            self._written[number] = text
            while len(self._written) > KEPT:
                del self._written[next(iter(self._written))]
        return text

    async def news(self) -> None:
        """Wait for the next event, or for the end. Cancelling leaves nothing behind."""
        await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class Follower:
    """One who follows the events: a position among them.

    Args:
        happenings: the events.
        position: the number of the event that it had last.
    """

    def __init__(self, happenings: Happenings, position: int) -> None:
        self._happenings = happenings
        self._position = position

    async def next(self) -> bytes | None:
        """Wait for events, and return some as server-sent ones; None at the end.

        Where the follower was too slow, an event ``missed`` says how many came and are not kept.
        Cancelling loses no event.
        """
        happenings = self._happenings
        while self._position >= happenings.latest:
            if happenings.over:
                return None
            await happenings.news()
        missed = happenings.oldest - 1 - self._position
        texts = []
        if missed > 0:
            self._position += missed
            data = json.dumps({"event": "missed", "events": missed})
            texts.append(f"event: missed\ndata: {data}\n\n".encode())
        last = min(happenings.latest, self._position + _AT_ONCE)
        texts += [happenings.written(number) for number in range(self._position + 1, last + 1)]
        self._position = last
        return b"".join(texts)
