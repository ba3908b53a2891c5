"""Which shared ledger a command looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from callguard.arguments import is_sendable
from callguard.cli.saying import complain
from callguard.errors import UsageError
from callguard.ledger import RedisLedger

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents
    from callguard.ledger.redis.neighbours import Neighbour

__all__ = ["Found", "look"]


@dataclass(frozen=True, slots=True)
class Found:
    """What there is on a ledger's server.

    Attributes:
        id: what the ledger is called there, in hexadecimal digits.
        contents: what is in it.
        others: the other ledgers there.
    """

    id: str
    contents: Contents
    others: tuple[Neighbour, ...]

    @property
    def lookalikes(self) -> list[str]:
        """The ledgers that may be of the same workspace, which would be another limit each."""
        return [other.id for other in self.others if other.looks_like(self.contents.snapshot)]

    @property
    def absence(self) -> str:
        """The sentence for a ledger that isn't there; it names the others."""
        others = ", ".join(other.id for other in self.others)
        besides = f"others here: {others}" if others else "there is no other here"
        return f"no gate has used this ledger, {self.id}, for an hour, if ever; {besides}"

    def warn(self) -> None:
        """Say on stderr what makes the figures doubtful."""
        if not self.contents.known:
            complain(f"warning: {self.absence}")
        for pause in self.contents.pauses:
            complain(f"warning: {pause}")
        for other in self.lookalikes:
            complain(
                f"warning: another ledger here, {other}, has the same limits and count as this, "
                f"{self.id}: gates that use different API keys of one workspace need a ledger with "
                "a name, the same for all, or they don't share its limit"
            )


async def look(url: str, name: str | None, workspace: str) -> Found:
    """Read the ledger called `name`, or else that of `workspace`, and find those beside it.

    Raises:
        LedgerUnavailable: the server can't be reached.
        MissingExtra: redis-py is not installed.
        UsageError: an address or a name that can't be used.
    """
    if name is not None and not is_sendable(name):
        raise UsageError("--name must be text that can be sent, and not empty")
    async with RedisLedger.from_url(url, name=name) as ledger:
        contents = await ledger.look(workspace)
        others = await ledger.neighbours(workspace)
        return Found(ledger.workspace_hash(workspace), contents, others)
