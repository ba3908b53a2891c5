"""Which shared books a command looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callguard.arguments import is_sendable
from callguard.errors import UsageError
from callguard.ledger import RedisLedger

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Books

__all__ = ["LedgerOption", "NameOption", "look"]

LedgerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="CALLGUARD_LEDGER",
        help="The server of the shared books, such as redis://localhost:6379.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(help="What the books are called, if the gates' ledger has a name."),
]


async def look(url: str, name: str | None, workspace: str) -> Books:
    """What is in the books called `name`, or else in those of `workspace`.

    Raises:
        LedgerUnavailable: the server can't be reached.
        UsageError: an address or a name that can't be used, or redis-py is not installed.
    """
    if name is not None and not is_sendable(name):
        raise UsageError("--name is text that can be sent, and not empty")
    async with RedisLedger.from_url(url, name=name) as ledger:
        return await ledger.look(workspace)
