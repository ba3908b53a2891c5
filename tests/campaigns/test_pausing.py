"""The campaign of pauses, small."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from tests.campaigns.pausing import Restart, outlive, stops


@pytest.mark.slow
async def test_a_pause_stops_four_processes_and_outlives_them(redis_url: str) -> None:
    """Other processes would dial on, or those that are started next would know of no pause."""
    name = uuid.uuid4().hex
    for stop in await stops(redis_url, name, lease=1.0, count=3):
        assert stop.admitted
        assert not stop.wrongly
    restart = await outlive(redis_url, name, lease=1.0)
    assert restart.good, restart


def test_a_pause_that_is_not_kept_is_not_taken_for_good() -> None:
    """The command would end well whatever it had seen."""
    pause = {"lane": None, "trunk": None, "by": "host:1", "seconds": 0.0, "reason": "why"}
    later = [{**pause, "seconds": 5.0}]
    good = Restart([pause], [later, later], 4.9, 5.1, admitted=0, again=0.1)
    assert good.good
    for after in ([], [{**pause, "seconds": 1.0}], [{**later[0], "by": "host:2"}]):
        assert not dataclasses.replace(good, after=[later, after]).good
    assert not dataclasses.replace(good, admitted=1).good
