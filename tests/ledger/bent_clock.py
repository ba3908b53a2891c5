"""The exchange's script on a real server, under a clock that tests set: nothing sleeps."""

from __future__ import annotations

import json
from typing import Any, Self

from redis import Redis

from callguard.ledger.redis.conversation import constants
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.settings import Settings
from tests.bent_server import START, BentServer
from tests.times import times

__all__ = ["START", "BentLedger", "Happening", "Reply", "Worker", "claim", "settings"]

Reply = dict[str, Any]
Happening = list[str | int]


def settings(*, lease: float = 10.0, grace: float = 0.0, **changes: float) -> Settings:
    return Settings(times(**changes), lease=lease, grace=grace, timeout=1.0)


def claim(
    *, ceiling: int, callers: int = 1, lane: str = "default", priority: int = 0
) -> dict[str, object]:
    return {
        "lane": lane,
        "priority": priority,
        "ceiling": ceiling,
        "count": callers,
        "waited": 0,
    }


class BentLedger(BentServer):
    """Ledger whose time tests set; a context manager, which leaves nothing on the server.

    Args:
        client: a real server's.
        workspace: what the workspace is told by.
        settings: how long things last.

    Attributes:
        now: the time, in ms since `START`.
        step: ms by which the server's clock is ahead of it.
    """

    def __init__(self, client: Redis, workspace: str, settings: Settings) -> None:
        super().__init__(client, Names(workspace))
        self.now = 0
        self.step = 0
        self.settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def run(self, *request: str | bytes) -> bytes:
        """Run the script now; the arguments are those that `Conversation.request` makes."""
        answer, _ = self.exchange(self.now + self.step, *request)
        return answer


class Worker:
    """A worker that says what the test wants, in exchanges that are numbered as they should be.

    Attributes:
        held: the leases that it was given, by what the answers said.
        knows: the beginning of the reading that its ceilings are of.
        lead: ms by which the ledger's clock was ahead of its own when it heard of it last.
        heard_at: when that was.
        constants: what it says in each exchange.
    """

    def __init__(self, ledger: BentLedger, name: str) -> None:
        self.held: list[int] = []
        self.epoch = ""
        self.number = 0
        self.acknowledged = 0
        self.knows = 0
        self.lead = START
        self.heard_at = ledger.now
        self.next = 1
        self._name = name
        self._books = ledger
        self.constants = constants(name, ledger.names, ledger.settings)

    def words(self, *happenings: Happening, **more: object) -> str:
        """The next exchange."""
        self.number += 1
        said = {
            "number": self.number,
            "acknowledged": self.acknowledged,
            "epoch": self.epoch,
            "knows": self.knows,
            "next": self.next,
            "happenings": happenings,
            "claims": [],
            "sent": self._books.now + self.lead,
            "silent": self._books.now - self.heard_at,
            **more,
        }
        return json.dumps(said)

    def send(self, words: str) -> Reply:
        reply: Reply = json.loads(self._books.run(words, self.constants))
        return reply

    def lose(self, *happenings: Happening, **more: object) -> Reply:
        """Make one exchange whose answer the worker doesn't hear."""
        return self.send(self.words(*happenings, **more))

    def say(self, *happenings: Happening, **more: object) -> Reply:
        """Make one exchange, and believe its answer."""
        reply = self.lose(*happenings, **more)
        if reply["status"] == "ok":
            self.believe(reply)
        return reply

    def join(self, *happenings: Happening, **more: object) -> Reply:
        """Come, or come back, and say what it holds."""
        return self.say(*happenings, join=self.introduction(), renew=True, **more)

    def introduction(self) -> dict[str, object]:
        """What it says when it comes."""
        return {
            "epoch": f"epoch of {self._name} at {self._books.now}",
            "label": f"label of {self._name}",
            "held": [[lease, "default"] for lease in self.held],
        }

    def ask(
        self,
        ceiling: int,
        callers: int = 1,
        *,
        priority: int = 0,
        happenings: list[Happening] | None = None,
    ) -> int:
        """Ask for slots on one lane; how many were given."""
        before = len(self.held)
        asked = claim(ceiling=ceiling, callers=callers, priority=priority)
        self.say(*(happenings or []), claims=[asked])
        return len(self.held) - before

    def place(self) -> Reply:
        """Say that the dial of the oldest lease has returned."""
        return self.say(["place", self.held.pop(0), "default"])

    def returned(self) -> list[Happening]:
        """What says that all it holds is given back."""
        happenings: list[Happening] = [["release", lease] for lease in self.held]
        self.held.clear()
        return happenings

    def turn(self) -> Reply | None:
        """Ask for a turn to read; None if it isn't this worker's."""
        turn: Reply | None = self.say(wants_reading=True).get("right_to_read")
        return turn

    def record(self, turn: Reply, current: int = 0) -> Reply:
        """Tell a reading that was taken in `turn`."""
        taken = {**turn, "current": current, "limits": "{}"}
        return self.say(taken=taken)

    def fail(self, turn: Reply, wait: int = 0) -> Reply:
        """Tell that `turn` brought no reading."""
        why = {"text": "HTTP 503", "kind": "unavailable", "status": 0, "mark": "key"}
        return self.say(failed={"token": turn["token"], "wait": wait, "why": why})

    def read(self, current: int = 0) -> Reply:
        """Take a reading in no time."""
        turn = self.turn()
        assert turn is not None
        return self.record(turn, current)

    def believe(self, reply: Reply) -> None:
        """Take in what the server answered."""
        if self.epoch != reply["epoch"]:
            self.epoch, self.knows = reply["epoch"], 0
        self.acknowledged = self.number
        self.lead = reply["now"] - self._books.now
        self.heard_at = self._books.now
        if reply.get("reading"):
            self.knows = reply["reading"]["began"]
        given = len(reply.get("grants") or ())
        self.held.extend(range(self.next, self.next + given))
        self.next += given
