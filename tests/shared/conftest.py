from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def at_once(no_grace: None) -> None:
    """Nobody is there who could object to a new ledger."""
