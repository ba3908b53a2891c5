"""The two dialers of the demo, and the leads that they dial."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from callguard import Gate, Lane
from callguard.demo.campaign import Plan
from callguard.demo.gated import GateDialer
from callguard.demo.leads import BULK, URGENT, Caller, Lead, dialled_once, leads
from callguard.demo.looped import LoopDialer
from callguard.demo.shared import SharedDialer
from callguard.errors import LedgerUnavailable
from callguard.ledger.redis.holders import Contents
from callguard.simulator import Workspace, WorkspaceSettings
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import PROVIDER, opened

if TYPE_CHECKING:
    from aiohttp import ClientSession as _ClientSession
else:
    _ClientSession = object


def answered(status: int) -> aiohttp.ClientResponseError:
    """What a session that raises for bad statuses raises for this one."""
    headers = CIMultiDictProxy(CIMultiDict[str]())
    url = URL(f"{PROVIDER}/v2/create-phone-call")
    info = aiohttp.RequestInfo(url, "POST", headers, url)
    return aiohttp.ClientResponseError(info, (), status=status)


class ScriptedCaller(Caller):
    """Places nothing, and refuses the first call of each lead in `refuse`.

    Attributes:
        asked: the leads that were dialled, in order, with the refused attempts.
        keys: the idempotency keys that came with them.
    """

    def __init__(self, *refuse: Lead) -> None:
        self._refuse = set(refuse)
        self.asked: list[str] = []
        self.keys: list[str | None] = []

    async def call(self, lead: Lead, **fields: str) -> str:
        self.asked.append(lead.name)
        self.keys.append(fields.get("idempotency_key"))
        if lead in self._refuse:
            self._refuse.remove(lead)
            raise answered(429)
        return f"call of {lead.name}"


class ScriptedCounter(_ClientSession):
    """A session whose every GET is answered by the next of some counts, or raises it.

    The last one stays.
    """

    def __init__(self, *counts: int | Exception, limit: int) -> None:
        self._counts = list(counts)
        self._limit = limit

    def get(self, *_: Any, **__: Any) -> Any:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def json(self) -> dict[str, int]:
        count = self._counts.pop(0) if len(self._counts) > 1 else self._counts[0]
        if isinstance(count, Exception):
            raise count
        return {"current_concurrency": count, "concurrency_limit": self._limit}


def bulk(*names: str) -> list[Lead]:
    return [Lead(name, BULK) for name in names]


def test_leads() -> None:
    """The demo would dial other leads than it says, or the urgent ones before there is a queue."""
    all_leads = leads(150)
    assert len({lead.name for lead in all_leads}) == 150
    assert Counter(lead.lane for lead in all_leads) == {BULK: 120, URGENT: 30}
    known = Counter(lead.known_after for lead in all_leads if lead.lane == URGENT)
    assert list(known.values()) == [10, 10, 10]
    assert min(known) > 0
    assert {lead.known_after for lead in all_leads if lead.lane == BULK} == {0.0}


def test_dialled_once() -> None:
    """A lead that was called twice, or never, would pass for one that was called once."""
    workspace = Workspace(WorkspaceSettings(cps=None), lambda: 0.0)
    names = ["+11", "+12", "+12", "+13"]
    call_ids = [workspace.dial(to_number=name).call_id for name in names]
    assert dialled_once(call_ids, workspace) == 2
    assert dialled_once([*call_ids, "call_unknown"], workspace) == 2
    assert dialled_once([], workspace) == 0


async def gated(caller: Caller, *to_dial: Lead) -> Gate:
    lanes = Lane(URGENT, priority=0), Lane(BULK, priority=1)
    async with opened(ScriptedSource(limit=20), *lanes) as gate:
        await GateDialer(gate, caller).dial(to_dial)
    return gate


def test_gate_dials_every_lead() -> None:
    """The demo would end before every lead is dialled, or dial two with one key."""
    caller = ScriptedCaller()
    run(gated(caller, *bulk("a", "b"), Lead("u", URGENT, known_after=3.0)))
    assert caller.asked == ["a", "b", "u"]
    assert len({key for key in caller.keys if key}) == 3


def test_gate_dials_a_refused_lead_again() -> None:
    """A refusal would end the demo, or lose a lead, or go uncounted by the gate."""
    a, b = bulk("a", "b")
    caller = ScriptedCaller(a)
    gate = run(gated(caller, a, b))
    assert Counter(caller.asked) == {"a": 2, "b": 1}
    assert gate.statistics().refused == 1


async def looped(
    caller: Caller, *to_dial: Lead, counter: ScriptedCounter | None = None
) -> LoopDialer:
    session = cast("aiohttp.ClientSession", counter or ScriptedCounter(0, limit=20))
    dialer = LoopDialer(session, caller)
    await dialer.dial(to_dial)
    return dialer


def test_loop_dials_what_the_counter_says() -> None:
    """The loop would not be what most people do, and the comparison be with a straw man."""

    async def rounds() -> list[int]:
        caller = ScriptedCaller()
        counter = ScriptedCounter(3, 5, 4, limit=5)
        dialling = asyncio.create_task(looped(caller, *bulk(*"abcd"), counter=counter))
        seen = []
        for seconds in (0.1, 2.0, 5.0, 2.0):  # two fit, then none, then one each time
            await asyncio.sleep(seconds)
            seen.append(len(caller.asked))
        await dialling
        return seen

    assert run(rounds()) == [2, 2, 3, 4]


@pytest.mark.parametrize("fault", [answered(500), aiohttp.ClientPayloadError(), ValueError()])
def test_loop_takes_it_that_ten_fit_without_a_reading(fault: Exception) -> None:
    """A reading that fails would end the loop, or it would be more careful than people are."""

    async def rounds() -> int:
        caller = ScriptedCaller()
        counter = ScriptedCounter(fault, 0, limit=5)
        dialling = asyncio.create_task(looped(caller, *bulk(*"abcdefghijkl"), counter=counter))
        await asyncio.sleep(1.0)
        asked = len(caller.asked)
        await dialling
        assert len(caller.asked) == 12
        return asked

    assert run(rounds()) == 10


def test_loop_queues() -> None:
    """A refused lead would not be tried again, or an urgent one wait behind the bulk."""
    a, b, c = bulk("a", "b", "c")
    urgent = Lead("u", URGENT, known_after=0.05)
    caller = ScriptedCaller(a)
    dialer = run(looped(caller, a, b, c, urgent, counter=ScriptedCounter(4, limit=5)))
    assert caller.asked == ["a", "a", "u", "b", "c"]
    assert dialer.reckoning().waiting == {URGENT: 0, BULK: 0}
    assert (dialer.reckoning().usage, dialer.reckoning().lost) == (None, 0)


def test_loop_loses_a_lead_that_is_refused_four_times() -> None:
    """The demo would hide what such a loop costs, or dial until it costs nothing."""

    class Full(ScriptedCaller):
        async def call(self, lead: Lead, **fields: str) -> str:
            self.asked.append(lead.name)
            raise answered(429)

    async def campaign() -> tuple[list[str], int, float]:
        caller = Full()
        dialer = await looped(caller, *bulk("a"))
        return caller.asked, dialer.reckoning().lost, asyncio.get_running_loop().time()

    assert run(campaign()) == (["a"] * 4, 1, 1.0 + 2.0 + 4.0 + 2.0)


@pytest.mark.parametrize("dial", [gated, looped])
def test_other_errors_are_not_refusals(dial: Callable[..., Coroutine[Any, Any, object]]) -> None:
    """A fault of the workspace would be taken for a refusal, and the lead dialled for ever."""

    class Broken(ScriptedCaller):
        async def call(self, lead: Lead, **fields: str) -> str:
            raise answered(500)

    with pytest.raises(ExceptionGroup) as raised:
        run(dial(Broken(), *bulk("a")))
    assert raised.group_contains(aiohttp.ClientResponseError)


@pytest.mark.parametrize("ledger", [None, "redis://here"])
def test_many_processes_dial_at_the_rate_of_one(ledger: str | None) -> None:
    """The demo with workers would be of a workspace that takes more than people have."""
    plan = Plan(150, 1, gated=True, workers=4, ledger=ledger)
    assert plan.workspace.cps == pytest.approx(plan.speed)


class NoWorkers:
    """Workers that dial nobody, for a while."""

    api_key = "key"

    async def dial(self, leads: int) -> None:
        await asyncio.sleep(1.0)


class ComesBack:
    """A ledger whose server is away at first."""

    def __init__(self) -> None:
        self.looks = 0

    async def look(self, workspace: str) -> Contents:
        self.looks += 1
        if self.looks < 5:
            raise LedgerUnavailable("the server can't be reached")
        return NOTHING


NOTHING = Contents(
    now=0.0,
    known=True,
    workers=(),
    permits=(),
    waiting=(),
    snapshot=None,
    spent_until=0.0,
    lost_until=0.0,
)


def test_the_picture_of_a_ledger_says_that_its_server_is_away() -> None:
    """A picture that stands still would say that calls are going on, for minutes."""

    async def reasons() -> list[str]:
        dialer = SharedDialer(cast("Any", NoWorkers()), cast("Any", ComesBack()), NOTHING)
        dialling = asyncio.create_task(dialer.dial([]))
        said = [dialer.reckoning().reason]
        while not dialling.done():
            await asyncio.sleep(0.05)
            if (reason := dialer.reckoning().reason) != said[-1]:
                said.append(reason)
        return said

    before, away, after = run(reasons())
    assert away == "the server can't be reached"
    assert before == after
