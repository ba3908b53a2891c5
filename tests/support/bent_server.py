"""The real script of the exchange on a real server, but with a clock and faults set by the test."""

from __future__ import annotations

from typing import Any, cast

from redis import Redis

from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.scripts import EXCHANGE

__all__ = ["START", "BentServer", "Published"]

START = 1_700_000_000_000
"""The server's time, in ms, that counts as 0 in tests; it has as many digits as a real one."""

BENT = """
local server, published, commands, items = redis, {{}}, 0, 0
local FAILS, writes = ARGV[#ARGV], 0

local WRITES = {{}}
for command in string.gmatch('{writes}', '%S+') do
  WRITES[command] = true
end

local function fails(command)
  commands = commands + 1
  writes = writes + (WRITES[command] and 1 or 0)
  return command == FAILS or WRITES[command] and 'write ' .. writes == FAILS
end

local redis = {{}}

function redis.call(command, ...)
  if fails(command) then
    error("can't run this command")
  end
  local answer = server.call(command, ...)
  items = items + (type(answer) == 'table' and #answer or 0)
  return answer
end

function redis.pcall(command, ...)
  if fails(command) then
    return {{ err = "can't run this command" }}
  end
  return server.pcall(command, ...)
end

local function publish_too(channel, message)
  local answer = redis.pcall('PUBLISH', channel, message)
  if type(answer) == 'number' then
    published[#published + 1] = channel
    published[#published + 1] = message
  end
  return answer
end

local function exchange()
{script}
end

return {{ exchange(), commands, items, unpack(published) }}
"""
"""The wrapper of the script. After the answer it returns how many commands the script used, how
many items it read and what it published. It can make a command fail."""

WRITES = "DEL HDEL HSET HSETNX PEXPIRE UNLINK ZADD ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE"
"""The script's commands that write."""

Published = list[tuple[str, bytes]]
"""The messages that the script published, with their channels, in order."""


class BentServer:
    """The ledger of one workspace on a real server, at a given time and with given faults.

    Args:
        client: a client of the real server.
        names: the names of the ledger's keys and channels.

    Attributes:
        commands: how many commands the last exchange used.
        items: how many items of all keys the last exchange read.
    """

    def __init__(self, client: Redis, names: Names) -> None:
        self.client = client
        self.names = names
        self.commands = 0
        self.items = 0
        self._digest = client.script_load(_bent(EXCHANGE.text))

    def exchange(self, now: int, *request: str | bytes, fails: str = "") -> tuple[bytes, Published]:
        """Make an exchange.

        Args:
            now: ms since `START`.
            request: the arguments that `Conversation.request` makes.
            fails: the command that fails, or "write 3" for the third command that writes; "" for
                none.

        Returns:
            The answer, and the published messages.

        Raises:
            ResponseError: a command failed.
        """
        keys = self.names.keys
        found = self.client.evalsha(self._digest, len(keys), *keys, *request, START + now, fails)
        answer, self.commands, self.items, *told = cast("list[Any]", found)
        channels = (channel.decode() for channel in told[::2])
        return answer, list(zip(channels, told[1::2], strict=True))

    def forget(self) -> None:
        """Lose everything, as a flushed server does."""
        self.client.delete(*self.names.keys)

    def image(self) -> dict[bytes, bytes]:
        """A dump of the ledger's keys, for `turn_back`."""
        dumped = ((key, self.client.dump(key)) for key in self.names.keys)
        return {key: value for key, value in dumped if isinstance(value, bytes)}

    def turn_back(self, image: dict[bytes, bytes]) -> None:
        """Restore the ledger from a dump, like a replica that lagged."""
        self.forget()
        for key, value in image.items():
            self.client.restore(key, 0, value)


def _bent(text: str) -> str:
    """Change the script to take the time in ms as an argument, and to return what it publishes."""
    clock, publish = "redis.call('TIME')", "redis.pcall('PUBLISH', "
    assert (text.count(clock), text.count(publish)) == (1, 1)
    time = "{ math.floor(ARGV[#ARGV - 1] / 1000), ARGV[#ARGV - 1] % 1000 * 1000 }"
    script = text.replace(clock, time).replace(publish, "publish_too(")
    return BENT.format(script=script, writes=WRITES)
