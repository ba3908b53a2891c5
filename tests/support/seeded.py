"""Seeding of the library's own random draws."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Give gates the same ids, and retries the same delays, in each run with this seed."""
    dice = random.Random(seed)
    random.seed(seed)  # tenacity draws its jitter from the module's own source
    with patch("uuid.uuid4", lambda: uuid.UUID(int=dice.getrandbits(128))):
        yield
