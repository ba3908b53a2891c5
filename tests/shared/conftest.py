from __future__ import annotations

import pytest

from callguard.ledger.redis import ledger


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """New books let callers in at once; nobody is there who could object."""
    monkeypatch.setattr(ledger, "GRACE", 0.0)
