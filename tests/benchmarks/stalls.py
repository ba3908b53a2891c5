"""How long one exchange keeps a ledger's server from all others, beside many live permits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from redis import Redis

from callguard import Trunk
from callguard.ledger.redis.scripts import EXCHANGE
from callguard.ledger.redis.settings import AT_ONCE
from callguard.ledger.redis.statement import runs_of
from tests.unit.ledger.bent_clock import START, BentLedger, Happening, Reply, Worker, settings

__all__ = ["longest_exchanges"]

VISIBLE_AFTER = 3.0
"""Seconds until a placed call is surely counted: more than it takes to place them all."""

FILLING = Trunk("filling", cps=None, calls=1_000_000)

Row = tuple[str, int, float]
"""What was done, in how many exchanges, and ms of the server's own time in the longest of them."""


class _TimedLedger(BentLedger):
    """A ledger under the server's own clock, that measures its exchanges.

    Attributes:
        spent: ms of the server's own time in each exchange, by `INFO cpu`, which others on the
            machine don't change.
    """

    def __init__(self, client: Redis) -> None:
        self.spent: list[float] = []
        super().__init__(
            client,
            uuid.uuid4().hex,
            settings(counted_after=VISIBLE_AFTER, lease=60.0, ttl=0.001, min_interval=0.0),
        )
        client.script_load(EXCHANGE.text)

    @property
    def now(self) -> int:
        return int(time.time() * 1000) - START

    @now.setter
    def now(self, now: int) -> None:
        """The server's clock is not set."""

    def run(self, *request: str | bytes) -> bytes:
        keys = self.names.keys
        before = self._seconds()
        answer: bytes = self.client.evalsha(EXCHANGE.digest, len(keys), *keys, *request)
        self.spent.append((self._seconds() - before) * 1000)
        return answer

    def _seconds(self) -> float:
        told = self.client.info("cpu")
        return float(told["used_cpu_user"] + told["used_cpu_sys"])


def longest_exchanges(client: Redis, permits: int) -> Iterator[Row]:
    """Have one worker hold so many permits, and everything happen to them that can."""
    for trunk in (None, FILLING):
        on_it = "" if trunk is None else " on a trunk that takes so many"
        with _TimedLedger(client) as ledger:
            for what, exchanges in _happening(ledger, permits, trunk):
                ledger.spent.clear()
                for exchange in exchanges:
                    exchange()
                yield what + on_it, len(ledger.spent), max(ledger.spent)


def _happening(
    ledger: _TimedLedger, permits: int, trunk: Trunk | None
) -> Iterator[tuple[str, Iterable[Callable[[], object]]]]:
    holder, other = Worker(ledger, "holder"), Worker(ledger, "other")
    holder.join()
    other.join()
    time.sleep(0.01)
    other.read()
    holder.say()
    rounds = range(permits // AT_ONCE)

    def granted() -> Iterable[Callable[[], object]]:
        return (lambda: holder.ask(permits, 1000, trunk=trunk) for _ in rounds)

    yield "granted", granted()
    yield "placed", (lambda: holder.say(*_placed(holder)) for _ in rounds)
    yield "bound", (partial(holder.say, *_bound(at)) for at in rounds)
    yield "joined beside them", [lambda: Worker(ledger, "comer").join()]
    yield "joined anew who placed them", [holder.join]
    time.sleep(VISIBLE_AFTER)
    yield "absorbed", _until_none(other, 1, other.read)
    yield "granted again", granted()
    yield "joined anew after a lost answer", [partial(_join, holder)]
    ledger.client.zadd(ledger.names.keys[1], {"holder": 1.0})
    yield "dialled by a worker whose lease ran out", _until_none(other, 0, other.say)
    yield "named again by a worker whose lease ran out", _coming_back(holder)
    ledger.forget()
    other.say()
    other.join()
    yield "named again after the ledger was lost", _coming_back(holder)
    yield "dialled by a worker that left", _until_none(other, 0, partial(holder.say, leaves=True))


def _placed(worker: Worker) -> list[Happening]:
    return [["place", worker.held.pop(0), "default"] for _ in range(AT_ONCE)]


def _bound(at: int) -> list[Happening]:
    first = at * AT_ONCE + 1
    return [["bind", number, f"{number:024x}"] for number in range(first, first + AT_ONCE)]


def _join(worker: Worker) -> None:
    """Join, and name the latest permits, as `Statement` does."""
    introduction = worker.introduction()
    introduction["held"] = runs_of([(number, "default") for number in worker.held[-AT_ONCE:]])
    introduction["holds_more"] = True
    worker.say(join=introduction, renew=True)


def _coming_back(worker: Worker) -> Iterator[Callable[[], object]]:
    yield partial(_join, worker)
    for first in range(0, len(worker.held) - AT_ONCE, AT_ONCE):
        rest = worker.held[first : first + AT_ONCE]
        held: list[Happening] = [["hold", number, "default"] for number in rest]
        yield partial(worker.say, *held, unsaid=True)


def _until_none(
    worker: Worker, which: int, first: Callable[[], Reply]
) -> Iterator[Callable[[], object]]:
    """An exchange, and others until nothing is left of the dialling or of the uncounted."""
    yield first
    left = [1, 1]

    def look() -> None:
        left[:] = worker.say()["counts"]

    while left[which]:
        yield look
