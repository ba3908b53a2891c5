"""The examination as a whole, where something that it needs isn't there."""

from __future__ import annotations

import sys

import pytest

from callguard.doctor import Finding, Setup, examine
from tests.unit.doctor.cases import KEY

NOWHERE = "http://[::1]:1"


async def found_of_ledger(address: str) -> Finding:
    """The only finding of the check `ledger`."""
    setup = Setup(api_key=KEY, base_url=NOWHERE, ledger=address)
    (finding,) = (each for each in await examine(setup) if each.check == "ledger")
    return finding


async def test_a_ledger_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks the extra would see a traceback, or be sent to check the network."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    finding = await found_of_ledger("redis://localhost")
    assert finding.severity == "error"
    assert finding.what.startswith("a ledger on Redis needs redis-py: pip install ")
    assert finding.remedy.startswith("install it")


@pytest.mark.parametrize("address", ["http://h", "redis://:s3cr3t@h/zero", "redis://s3 cr3t@h"])
async def test_an_address_that_can_not_be_one(address: str) -> None:
    """A typing error would end in a traceback that has the password in it."""
    finding = await found_of_ledger(address)
    assert finding.severity == "error"
    assert "redis://localhost:6379/0" in finding.remedy
    assert "cr3t" not in repr(finding)


async def test_nothing_is_sent_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver would get deliveries that nobody can verify, or the doctor end in a traceback."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    found = await examine(Setup(base_url=NOWHERE, webhook_url=f"{NOWHERE}/hook"))
    assert [each.severity for each in found if each.check == "key"] == ["error"]
    assert not [each for each in found if each.check in {"receiver", "signature", "answers"}]
