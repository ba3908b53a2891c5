"""The shared ledger that a command looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from callguard.arguments import is_sendable
from callguard.cli.saying import complain
from callguard.errors import UsageError
from callguard.fetcher.settings import checked_api_key
from callguard.ledger import RedisLedger

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents
    from callguard.ledger.redis.neighbours import Neighbour

__all__ = ["Found", "absence", "advice_on_absence", "key_of_ledger", "look"]


_INSTEAD: Final = {
    "reserved_inbound": "inbound calls count together with all others",
    "ends_free_at_once": "a call that is over makes room when the count falls",
}
"""What holds instead of a setting that was given up."""


@dataclass(frozen=True, slots=True)
class Found:
    """A ledger and its neighbours, as found on a server.

    Attributes:
        id: the ledger's id on the server, in hexadecimal digits.
        contents: the ledger's contents.
        others: the other ledgers on the server.
    """

    id: str
    contents: Contents
    others: tuple[Neighbour, ...]

    @property
    def lookalikes(self) -> list[str]:
        """The ids of other ledgers that may belong to the same workspace."""
        return [other.id for other in self.others if other.looks_like(self.contents.snapshot)]

    @property
    def absence(self) -> str:
        """A sentence that says that the ledger doesn't exist, and names the others."""
        others = ", ".join(other.id for other in self.others)
        besides = f"others here: {others}" if others else "there is no other here"
        return f"{absence(self.id)}; {besides}"

    def warn(self) -> None:
        """Warn on stderr of everything that makes the figures doubtful."""
        if not self.contents.known:
            complain(f"warning: {self.absence}")
        for pause in self.contents.pauses:
            complain(f"warning: {pause}")
        for premise in self.contents.premises:
            complain(f"warning: {premise}")
        for suggestion in self.contents.suggestions:
            complain(f"suggestion: {suggestion}")
        for setting in self.contents.given_up:
            complain(
                f"warning: {setting} is given up for as long as the ledger lives, since the "
                f"provider has refused a call: {_INSTEAD[setting]}"
            )
        for other in self.lookalikes:
            complain(
                f"warning: another ledger here, {other}, has the same limits and count as this, "
                f"{self.id}: if gates use different API keys of one workspace, give their ledgers "
                "one name, or they don't share the limit"
            )


def absence(id_: str) -> str:
    """What is wrong if there is no ledger with this id."""
    return f"no gate has used this ledger, {id_}, for an hour, if ever"


def advice_on_absence(*, named: bool) -> str:
    """What to do if there is no such ledger; `named` if it was looked for by a name."""
    if named:
        return "check --name"
    return "check RETELL_API_KEY, or pass --name if the gates' ledger has one"


def key_of_ledger(name: str | None) -> str:
    """Return the API key that identifies a ledger; none, "", if it has a name of its own.

    Raises:
        UsageError: the ledger has no name, and RETELL_API_KEY is missing or can't be a key.
    """
    return "" if name is not None else checked_api_key(None)


async def look(url: str, name: str | None, workspace: str) -> Found:
    """Read the ledger called `name`, else that of the key `workspace`, and find the others.

    Raises:
        LedgerUnavailable: the server can't be reached.
        MissingExtra: redis-py is not installed.
        UsageError: the address or the name can't be used.
    """
    if name is not None and not is_sendable(name):
        raise UsageError("--name must be text that can be sent, and not empty")
    async with RedisLedger.from_url(url, name=name) as ledger:
        contents = await ledger.look(workspace)
        others = await ledger.neighbours(workspace)
        return Found(ledger.workspace_hash(workspace), contents, others)
