from __future__ import annotations

import random

import pytest


@pytest.fixture(autouse=True)
def _same_world_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address from the environment, and the same waits in every run."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    monkeypatch.delenv("RETELL_BASE_URL", raising=False)
    random.seed(20)
