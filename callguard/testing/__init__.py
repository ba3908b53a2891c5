"""What tests of a dialer need: a clock that jumps, scripted limits, and a real Redis.

::

    callguard.testing.run(campaign())  # `asyncio.run`, and an hour of waiting takes no time
"""

from callguard.testing.redis_server import RedisServer, RedisServerFailed, find_server
from callguard.testing.scripted_source import ScriptedSource
from callguard.testing.virtual_time import VirtualTimeLoop, run

__all__ = [
    "RedisServer",
    "RedisServerFailed",
    "ScriptedSource",
    "VirtualTimeLoop",
    "find_server",
    "run",
]
