from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from redis import Redis

from callguard.ledger.redis.settings import Settings
from tests.unit.ledger.bent_clock import BentLedger, settings


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def make_ledger(client: Redis, workspace_key: str) -> Iterator[Callable[[Settings], BentLedger]]:
    """Opens the test's ledger with other times than the usual."""
    with ExitStack() as stack:
        yield lambda times: stack.enter_context(BentLedger(client, workspace_key, times))


@pytest.fixture
def ledger(make_ledger: Callable[[Settings], BentLedger]) -> BentLedger:
    """Ledger whose times are those of `tests.support.times`, in which nobody is yet."""
    return make_ledger(settings())
