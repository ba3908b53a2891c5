"""The trial of what a server lets a client do, against the scripts whose commands it tries."""

from __future__ import annotations

import re

from callguard.ledger.redis.address import checked_address, shown_address
from callguard.ledger.redis.scripts import EXCHANGE, HOLDERS, PAUSE, TRIAL


def test_the_trial_has_every_command_of_the_other_scripts() -> None:
    """A user who lacks the right to one command would be told that nothing is missing."""
    scripts = "".join(each.text for each in (EXCHANGE, HOLDERS, PAUSE))
    used = set(re.findall(r"redis\.p?call\(\s*'([A-Z]+)'", scripts))
    assert len(used) > 20
    assert set(re.findall(r"try\('([A-Z]+)'", TRIAL.text)) == used


def test_an_address_is_shown_without_secrets() -> None:
    """A password would be in whatever the doctor prints."""
    for address, shown in {
        "redis://localhost:6379/0": "redis://localhost:6379/0",
        "rediss://me:s3cr3t@far.example:6380/1?db=1": "rediss://far.example:6380/1",
        "redis://far.example?password=s3cr3t": "redis://far.example",
        "redis://:p%40@[::1]:6379": "redis://[::1]:6379",
        "unix:///run/redis.sock?password=s3cr3t": "unix:///run/redis.sock",
    }.items():
        assert shown_address(address) == shown
    assert checked_address("redis://localhost") == shown_address("redis://localhost")
