"""The scripts that run on the ledger's server, which keeps them and is given their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol

from redis.exceptions import NoScriptError

__all__ = ["EXCHANGE", "HOLDERS", "PAUSE", "TRIAL", "Script"]


class Runs(Protocol):
    """A runner of commands: redis-py's asyncio client, or one connection."""

    async def execute_command(self, *words: Any) -> Any: ...


class Script:
    """A script of one file, or of several files in sequence.

    Args:
        parts: the files' names, without their ends.
        inside: names of more files, which are put into a function of their own. Each function in
            there then finds at once what the others have above it: in the function whose variable
            it is, Lua goes through all variables that functions share, for each that one takes.
    """

    def __init__(self, *parts: str, inside: Sequence[str] = ()) -> None:
        self.text = _text(parts)
        if inside:
            self.text += f"\nreturn (function()\n{_text(inside)}\nend)()"
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, server: Runs, keys: tuple[bytes, ...], *arguments: str | bytes) -> Any:
        """Run the script; a server that doesn't have it, or has lost it, is given its text.

        Cancelling this may leave the script to run.

        Raises:
            redis.exceptions.RedisError: the script did not run, or failed, or its answer was lost.
        """
        try:
            return await server.execute_command(
                "EVALSHA", self.digest, len(keys), *keys, *arguments
            )
        except NoScriptError:
            return await server.execute_command("EVAL", self.text, len(keys), *keys, *arguments)


def _text(parts: Sequence[str]) -> str:
    folder = files(__package__).joinpath("lua")
    return "\n".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in parts)


EXCHANGE = Script(
    "state",
    inside=(
        "writing",
        "pauses",
        "paused",
        "rates",
        "in_hand",
        "occupancy",
        "permits",
        "claims",
        "workers",
        "readings",
        "slots",
        "happenings",
        "exchange",
    ),
)
HOLDERS = Script("pauses", "holders")
PAUSE = Script("pauses", "pause")
TRIAL = Script("trial")
