"""What a gate learns of ringing calls, and what follows from it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from unittest.mock import Mock

import pytest

import callguard
from callguard.events import Event, GivenUp, RingingLearnt
from callguard.gate.ringing import Ringing
from callguard.premises import Learning
from callguard.premises.learning import AFRESH, LEARNT
from callguard.simulator import CallRefused, Constant, Uniform, Workspace, WorkspaceSettings
from callguard.simulator.listing import ListRequest
from tests.campaigns.one_gate import API_KEY, WEBHOOKS, open_courier, provider
from tests.campaigns.plan import Evidence, Plan
from tests.support.fake_network import FakeSession, Reply
from tests.support.virtual_time import run


async def within_minutes(holds: Callable[[], object]) -> None:
    """Wait until something holds, for twenty minutes at most."""
    for _ in range(1200):
        if holds():
            return
        await asyncio.sleep(1.0)
    pytest.fail("it did not hold within twenty minutes")


class Campaign:
    """A gate that dials as fast as it may, in a workspace that delivers webhooks."""

    def __init__(self, *, counts_ringing: bool, asks: bool = False) -> None:
        settings = WorkspaceSettings(
            limit=10,
            cps=None,
            counts_ringing=counts_ringing,
            ring_time=Uniform(2.0, 20.0),
            talk_time=Constant(20.0),
            answer_rate=0.8,
            seed=1,
        )
        self.plan = Plan(settings, evidence=Evidence(webhooks=None if asks else WEBHOOKS))
        self.asks = asks
        self.heard: list[Event] = []
        self.gate: callguard.Gate
        self._refuses = False

    @property
    def learnt(self) -> list[bool]:
        return [each.counted for each in self.heard if isinstance(each, RingingLearnt)]

    @property
    def score(self) -> int | None:
        return self.gate.statistics().ringing_score

    async def dial(self, seconds: float, counts_ringing: bool | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.workspace = Workspace(self.plan.settings, loop.time)
        self._over = loop.time() + seconds
        async with callguard.open_gate(
            API_KEY,
            session=FakeSession(provider(self.workspace, self.plan), self._list_calls),
            cps=None,
            track="ask" if self.asks else None,
            listener=self.heard.append,
            counts_ringing=counts_ringing,
        ) as self.gate:
            courier = open_courier(self.workspace, self.plan, self.gate)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(20):
                    tasks.create_task(self._dial_on())
            self.statistics = self.gate.statistics()
            self.explained = str(self.gate.explain())
            if courier is not None:
                courier.close()

    async def dial_until_learnt(self, then: Callable[[], Awaitable[None]]) -> None:
        """Dial until it was learnt that ringing is counted, and then until `then` returns."""
        dialling = asyncio.create_task(self.dial(math.inf))
        await within_minutes(lambda: self.learnt)
        await then()
        self._over = 0.0
        await dialling

    async def _list_calls(self, _url: str, _headers: Mapping[str, str], sent: bytes) -> Reply:
        asked, workspace = ListRequest.parse(sent), self.workspace
        assert asked is not None
        return Reply.json(
            asked.answer(
                workspace.call, workspace.calls, clock=workspace.provider_clock, ringing=False
            )
        )

    def believe(self) -> None:
        """Let the gate take ringing for counted, as if it had learnt it."""
        ringing = self.gate._parts.ringing
        assert ringing is not None
        ringing.learning.score, ringing.learning.learnt = 20, True

    def refuse_one(self) -> None:
        """The provider refuses the next dial, though it has room."""
        self._refuses = True

    async def _dial_on(self) -> None:
        while asyncio.get_running_loop().time() < self._over:
            async with self.gate.admit() as permit:
                await asyncio.sleep(0.2)
                if self._refuses:
                    self._refuses = False
                    permit.refused(429)
                    continue
                try:
                    permit.placed(self.workspace.dial().call_id)
                except CallRefused:
                    permit.refused(429)


def test_it_is_learnt_within_minutes_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """The limit would not be used fully, or nobody would know why it suddenly is."""
    campaign = Campaign(counts_ringing=True)
    with caplog.at_level("INFO", "callguard"):
        run(campaign.dial_until_learnt(lambda: asyncio.sleep(200.0)))
    assert campaign.learnt == [True]
    assert campaign.statistics.ringing_learnt
    assert "; ringing calls are counted, as was learnt" in campaign.explained
    assert campaign.statistics.ringing_score == 20
    assert campaign.workspace.truth().refusals == 0
    assert any("counts ringing calls" in record.message for record in caplog.records)


def test_what_asking_has_taught_is_not_doubted_again() -> None:
    """Ends of counted calls that nobody asks about would look like moves of somebody else."""
    campaign = Campaign(counts_ringing=True, asks=True)
    scores = set()

    async def look_on() -> None:
        for _ in range(200):
            await asyncio.sleep(1.0)
            scores.add(campaign.score)

    run(campaign.dial_until_learnt(look_on))
    assert campaign.learnt == [True]
    assert scores == {LEARNT}
    assert campaign.workspace.truth().refusals == 0


def test_counted_calls_are_in_question_only_where_something_comes_of_it() -> None:
    """Each reading would list every call of the workspace, for nothing."""
    ledger = Mock(**{"counted_calls.return_value": ["call_1"]})
    ringing = Ringing(Learning(counter_lag=2.0, ring_limit=30.0), ledger, Mock())
    assert list(ringing.calls_in_question()) == ["call_1"]
    ringing.learning.score = AFRESH
    assert list(ringing.calls_in_question()) == []
    ringing.learning.score, ringing.learning.learnt = LEARNT, True
    assert list(ringing.calls_in_question()) == ["call_1"]
    ringing.learning.refused()
    ringing.learning.score = 0
    assert list(ringing.calls_in_question()) == []
    assert list(Ringing(ringing.learning, None, Mock()).calls_in_question()) == []


@pytest.mark.parametrize("asks", [True, False])
def test_where_ringing_is_not_counted_nothing_is_learnt(asks: bool) -> None:
    """Calls that ring would be forgotten while nobody counts them."""
    campaign = Campaign(counts_ringing=False, asks=asks)
    run(campaign.dial(500.0))
    assert campaign.learnt == []
    assert campaign.statistics.ringing_score is not None
    assert campaign.statistics.ringing_score < -10
    assert "learnt" not in campaign.explained
    assert campaign.workspace.truth().refusals == 0


@pytest.mark.parametrize("said", [True, False])
def test_what_is_said_is_not_learnt(said: bool) -> None:
    """A setting that somebody made would be overruled."""
    campaign = Campaign(counts_ringing=True)
    run(campaign.dial(300.0, counts_ringing=said))
    assert campaign.learnt == []
    assert campaign.statistics.ringing_score is None
    assert not campaign.statistics.ringing_learnt


def test_what_was_learnt_ends_for_good_at_a_refusal_whatever_its_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wrong belief would go on for as long as no count speaks against it."""
    campaign = Campaign(counts_ringing=True)

    async def have_one_refused() -> None:
        campaign.refuse_one()
        await within_minutes(lambda: campaign.learnt == [True, False])
        await within_minutes(lambda: campaign.score == LEARNT)

    run(campaign.dial_until_learnt(have_one_refused))
    assert campaign.learnt == [True, False]
    assert campaign.statistics.given_up == ["counts_ringing"]
    assert [each.setting for each in campaign.heard if isinstance(each, GivenUp)] == [
        "counts_ringing"
    ]
    assert "counts_ringing is given up" in caplog.text


def test_a_wrong_belief_costs_one_refused_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were forgotten too early would not be counted again, and more dials be refused."""
    campaign = Campaign(counts_ringing=False)

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(100.0, campaign.believe)
        await campaign.dial(300.0)

    monkeypatch.setattr(Learning, "_score", lambda *_: None)
    run(scenario())
    assert campaign.learnt == [True, False]
    assert "learnt" not in campaign.explained
    assert campaign.workspace.truth().refusals <= 1
