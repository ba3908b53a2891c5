"""The exchange's script as it is, on a real server, under a clock of the test's own."""

from __future__ import annotations

from typing import cast

from redis import Redis

from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.scripts import EXCHANGE

__all__ = ["START", "BentServer", "Published"]

START = 1_700_000_000_000
"""The server's time, in ms, that tests call 0; it has as many digits as a real one."""

BENT = """
local published = {{}}

local function publish_too(channel, message)
  published[#published + 1] = channel
  published[#published + 1] = message
  return redis.pcall('PUBLISH', channel, message)
end

local function exchange()
{script}
end

return {{ exchange(), unpack(published) }}
"""
"""What is made of the script: it returns what it published, too, behind its answer."""

Published = list[tuple[str, bytes]]
"""What the script tells: channels and messages, in order."""


class BentServer:
    """The books of one workspace: only the time is told, and what is published is told here too.

    Args:
        client: a real server's.
        names: what things are called on it.
    """

    def __init__(self, client: Redis, names: Names) -> None:
        self.client = client
        self.names = names
        self._digest = client.script_load(_bent(EXCHANGE.text))

    def exchange(self, now: int, *request: str | bytes) -> tuple[bytes, Published]:
        """Make an exchange.

        Args:
            now: ms since `START`.
            request: the arguments that `Conversation.request` makes.

        Returns:
            The answer, and what was published.
        """
        keys = self.names.keys
        found = self.client.evalsha(self._digest, len(keys), *keys, *request, START + now)
        answer, *told = cast("list[bytes]", found)
        channels = (channel.decode() for channel in told[::2])
        return answer, list(zip(channels, told[1::2], strict=True))

    def forget(self) -> None:
        """Lose everything, as a flushed server does."""
        self.client.delete(*self.names.keys)


def _bent(text: str) -> str:
    """The script, which takes the time in ms as one more argument, and tells what it publishes."""
    clock, publish = "redis.call('TIME')", "redis.pcall('PUBLISH', "
    assert (text.count(clock), text.count(publish)) == (1, 1)
    time = "{ math.floor(ARGV[#ARGV] / 1000), ARGV[#ARGV] % 1000 * 1000 }"
    return BENT.format(script=text.replace(clock, time).replace(publish, "publish_too("))
