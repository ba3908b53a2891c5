"""What the library draws by itself, made to follow from a seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Gates have the same ids each time, and tries that are repeated the same pauses."""
    dice = random.Random(seed)
    random.seed(seed)  # tenacity draws its jitter from the module's own source
    with patch("uuid.uuid4", lambda: uuid.UUID(int=dice.getrandbits(128))):
        yield
