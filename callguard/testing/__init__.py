"""Support for tests of a dialer: a clock that jumps, a workspace on it, and a real Redis.

::

    def test_a_busy_number_is_tried_again(simulated_workspace):
        workspace = simulated_workspace(limit=5, numbers={LEAD: (BUSY, answered())})
        workspace.run(campaign([LEAD]))  # hours of dialling, in a moment
        assert workspace.truth().answered == 1

pytest finds the fixture ``simulated_workspace`` by itself. It makes a `VirtualWorkspace`, which
works without pytest too. Without a workspace, use `run`, which is `asyncio.run` on a clock that
jumps. The fates of calls, such as ``BUSY``, are in `callguard.simulator`.
"""

from callguard.testing.redis_server import RedisServer, RedisServerFailed, find_server
from callguard.testing.scripted_source import ScriptedSource
from callguard.testing.virtual_time import VirtualTimeLoop, run
from callguard.testing.virtual_workspace import VirtualWorkspace

__all__ = [
    "RedisServer",
    "RedisServerFailed",
    "ScriptedSource",
    "VirtualTimeLoop",
    "VirtualWorkspace",
    "find_server",
    "run",
]
