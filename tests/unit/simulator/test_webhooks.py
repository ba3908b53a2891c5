"""Which webhooks a workspace sends, and what goes wrong with them, by a clock set by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, get_args

import pytest

from callguard.simulator import (
    Constant,
    Deliveries,
    Delivery,
    Exponential,
    Forgery,
    Uniform,
    WebhookPlan,
    Workspace,
)
from callguard.webhooks import WebhookForged, WebhookReplayed, parse, verify
from tests.unit.simulator.support import HandClock, workspace
from tests.unit.webhooks.support import NOW

KEY = "key_simulated"
CALLS = 1000

Told = tuple[float, str, str]
"""When it was delivered, in seconds on the clock; of which event; about which call."""


class Post:
    """A workspace on a clock, and everything that it has delivered so far."""

    def __init__(self, plan: WebhookPlan | None = None, **knobs: Any) -> None:
        self.clock = HandClock()
        self.workspace: Workspace = workspace(self.clock, **knobs)
        self.deliveries = Deliveries(self.workspace, plan, wall_clock=self.wall_clock)
        self.came: list[tuple[float, Delivery]] = []

    def wall_clock(self) -> float:
        return NOW + self.clock.now

    def until(self, end: float) -> None:
        """Look whenever there may be something, as somebody does who wants to know in time."""
        while (at := self.deliveries.next_at) is not None and at <= end:
            self.clock.now = max(self.clock.now, at)
            self._look()
        self.clock.now = end
        self._look()

    def _look(self) -> None:
        self.came += [(self.clock.now, delivery) for delivery in self.deliveries.due()]

    def delivered(self) -> list[Told]:
        return [(at, delivery.event, delivery.call_id) for at, delivery in self.came]


def campaign(plan: WebhookPlan | None = None, **knobs: Any) -> Post:
    """A call each second, and enough time for the last to be delivered."""
    post = Post(plan, **{"limit": CALLS, "answer_rate": 0.7, **knobs})
    for second in range(CALLS):
        post.until(float(second))
        post.workspace.dial()
    post.until(CALLS + 1000.0)
    return post


def events_of(post: Post) -> Iterable[tuple[str, str]]:
    """The true events and their calls, one for each delivery."""
    return ((each.event, each.call_id) for _, each in post.came if each.forgery is None)


def test_an_answered_call() -> None:
    """A call that is answered and ends would be delivered at other times, or in another order."""
    post = Post(WebhookPlan(late=Constant(0.5), analysis_time=Constant(3.0)))
    call_id = post.workspace.dial().call_id
    post.until(100.0)
    assert post.delivered() == [
        (5.5, "call_started", call_id),
        (15.5, "call_ended", call_id),
        (18.5, "call_analyzed", call_id),
    ]


def test_a_call_that_is_refused_by_its_death() -> None:
    """A dialer that waits for webhooks would never learn that its call is dead."""
    post = Post(WebhookPlan(late=Constant(0.5)), cps=1.0, cps_refusal="dead-call")
    post.workspace.dial()
    dead = post.workspace.dial().call_id
    post.until(4.0)
    assert post.delivered() == [(0.5, "call_ended", dead), (2.5, "call_analyzed", dead)]
    assert all(parse(delivery.body).refused for _, delivery in post.came)


def test_a_call_that_nobody_answers() -> None:
    """A dialer would take a call for answered which never was."""
    post = Post(WebhookPlan(late=Constant(0.0)), answer_rate=0.0)
    call_id = post.workspace.dial().call_id
    post.until(100.0)
    assert post.delivered() == [(30.0, "call_ended", call_id), (32.0, "call_analyzed", call_id)]


def test_a_call_that_is_stopped() -> None:
    """The end of a stopped call would not be delivered, or an answer after its end."""
    post = Post(WebhookPlan(late=Constant(0.0)))
    call_id = post.workspace.dial().call_id
    post.until(2.0)
    post.workspace.stop(call_id)
    assert post.deliveries.next_at == 2.0
    post.until(100.0)
    assert post.delivered() == [(2.0, "call_ended", call_id), (4.0, "call_analyzed", call_id)]


def test_nothing_is_due_before_its_time() -> None:
    """A delivery would come early, or a second time."""
    post = Post(WebhookPlan(late=Constant(0.5)))
    post.workspace.dial()
    for post.clock.now, due in ((5.0, 0), (5.49, 0), (5.5, 1), (5.5, 0), (15.4, 0), (100.0, 2)):
        assert len(post.deliveries.due()) == due


def test_looking_late_loses_nothing() -> None:
    """What came to pass while nobody looked would be lost, or come in another order."""
    often, once = Post(), Post()
    for post in (often, once):
        for _ in range(5):
            post.workspace.dial()
    often.until(100.0)
    once.clock.now = 100.0
    bodies = [delivery.body for delivery in once.deliveries.due()]
    assert bodies == [delivery.body for _, delivery in often.came]
    assert len(bodies) == 15


def test_calls_by_others_bring_no_webhooks() -> None:
    """A dialer would get events about calls whose ids it can't know anything of."""
    post = Post(inbound_rate=1.0, limit=50)
    post.until(60.0)
    assert post.workspace.truth().inbound_ended > 0
    assert post.came == []


def test_bodies() -> None:
    """A body would lack the fields that a call has when one asks for it, or be of another time."""
    post = Post()
    call = post.workspace.dial(to_number="+2", metadata={"row": 7})
    post.until(100.0)
    started, ended, analyzed = (json.loads(delivery.body) for _, delivery in post.came)
    assert started == {
        "event": "call_started",
        "call": {
            "call_id": call.call_id,
            "call_type": "phone_call",
            "agent_id": "agent_simulated",
            "agent_version": 0,
            "call_status": "ongoing",
            "direction": "outbound",
            "from_number": "+10000000000",
            "to_number": "+2",
            "metadata": {"row": 7},
            "start_timestamp": 5000,
        },
    }
    over = {
        **started["call"],
        "call_status": "ended",
        "end_timestamp": 15_000,
        "duration_ms": 10_000,
        "disconnection_reason": "user_hangup",
    }
    assert ended == {"event": "call_ended", "call": over}
    assert analyzed == {"event": "call_analyzed", "call": over}


def test_deliveries_are_signed_when_they_are_sent() -> None:
    """A delivery that is later than the tolerance would be refused, though the provider sent it."""
    post = Post(WebhookPlan(late=Constant(1000.0)))
    post.workspace.dial()
    post.until(2000.0)
    assert len(post.came) == 3
    for at, delivery in post.came:
        assert delivery.headers == {
            "Content-Type": "application/json",
            "X-Retell-Signature": delivery.signature,
        }
        verify(delivery.body, delivery.signature, KEY, tolerance=0.001, now=HandClock(NOW + at))


def test_a_plan_of_nothing_wrong() -> None:
    """Deliveries would go wrong though nobody asked for it."""
    came = Counter(events_of(campaign()))
    assert set(came.values()) == {1}
    by_event = Counter(event for event, _ in came)
    assert by_event["call_ended"] == by_event["call_analyzed"] == CALLS
    assert by_event["call_started"] == pytest.approx(0.7 * CALLS, rel=0.1)


def test_lost_and_duplicated() -> None:
    """Deliveries would be lost or doubled more or less often than asked for."""
    whole, spoilt = campaign(), campaign(WebhookPlan(lost=0.2, duplicated=0.3))
    all_of_them, came = Counter(events_of(whole)), Counter(events_of(spoilt))
    assert set(came) < set(all_of_them)
    assert len(came) == pytest.approx(0.8 * len(all_of_them), rel=0.05)
    times = Counter(came.values())
    assert set(times) == {1, 2}
    assert times[2] == pytest.approx(0.3 * len(came), rel=0.1)
    assert set(events_of(campaign(WebhookPlan(lost=1.0, duplicated=1.0)))) == set()


def test_shuffled() -> None:
    """Order would be kept though asked to be lost, or lost though nobody asked."""

    def overtaken(post: Post) -> int:
        """Calls of which the end was delivered before the beginning."""
        first: dict[tuple[str, str], int] = {}
        for position, event in enumerate(events_of(post)):
            first.setdefault(event, position)
        return sum(
            first[("call_ended", call_id)] < position
            for (event, call_id), position in first.items()
            if event == "call_started"
        )

    assert overtaken(campaign()) == 0
    assert overtaken(campaign(WebhookPlan(shuffled=0.5))) > 0.05 * CALLS
    assert overtaken(campaign(WebhookPlan(late=Uniform(0.0, 60.0)))) > 0.05 * CALLS
    only_late = [at for at, _ in campaign(WebhookPlan(shuffled=1.0, held_back=Constant(7.0))).came]
    assert only_late == [pytest.approx(at + 7.0) for at, _ in campaign().came]


def test_forged() -> None:
    """A lie would be missing or signed as if true, or a truth be forged."""
    post = campaign(WebhookPlan(forged=0.3))
    true = [delivery for _, delivery in post.came if delivery.forgery is None]
    forged = [(at, delivery) for at, delivery in post.came if delivery.forgery is not None]
    assert Counter(events_of(post)) == Counter(events_of(campaign()))
    assert len(forged) == pytest.approx(0.3 * len(true), rel=0.1)
    assert {delivery.forgery for _, delivery in forged} == set(get_args(Forgery))
    for at, delivery in forged:
        error = WebhookReplayed if delivery.forgery == "replayed" else WebhookForged
        with pytest.raises(error):
            verify(delivery.body, delivery.signature, KEY, now=HandClock(NOW + at))


def test_what_a_lie_says() -> None:
    """A gate that believed lies would not be found out, because they are true."""
    post = Post(WebhookPlan(forged=1.0, late=Constant(1.0)))
    call_id = post.workspace.dial().call_id
    post.until(100.0)
    lies = [(at, parse(each.body)) for at, each in post.came if each.forgery is not None]
    assert [(at, lie.event, lie.call_id, lie.refused) for at, lie in lies] == [
        (5.0, "call_ended", call_id, True),
        (15.0, "call_started", call_id, False),
        (17.0, "call_started", call_id, False),
    ]


def test_seed_replays() -> None:
    """A failing run could not be run again."""
    knobs: dict[str, Any] = {
        "late": Exponential(1.0),
        "lost": 0.2,
        "duplicated": 0.2,
        "shuffled": 0.2,
        "forged": 0.2,
    }
    first, again = campaign(WebhookPlan(seed=3, **knobs)), campaign(WebhookPlan(seed=3, **knobs))
    assert first.came == again.came
    assert first.delivered() != campaign(WebhookPlan(seed=4, **knobs)).delivered()


@pytest.mark.parametrize(
    "knobs", [{"duplicated": 0.5}, {"forged": 0.5}, {"analysis_time": Exponential(9.0)}]
)
def test_knobs_do_not_shuffle_the_losses(knobs: dict[str, Any]) -> None:
    """Two plans could not be compared on the same luck."""
    plain, changed = campaign(WebhookPlan(lost=0.2)), campaign(WebhookPlan(lost=0.2, **knobs))
    assert set(events_of(plain)) == set(events_of(changed))


def test_webhooks_do_not_shuffle_the_calls() -> None:
    """A run with webhooks could not be compared with one without."""
    clock = HandClock()
    alone = workspace(clock, limit=CALLS, answer_rate=0.7)
    for second in range(CALLS):
        clock.now = float(second)
        alone.dial()
    clock.now = CALLS + 1000.0
    post = campaign(WebhookPlan(lost=0.5, shuffled=0.5, forged=0.5))
    assert post.workspace.calls() == alone.calls()
    assert asdict(post.workspace.truth()) == pytest.approx(asdict(alone.truth()))


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"lost": 1.1}, "lost must be a share"),
        ({"duplicated": -0.1}, "duplicated must be a share"),
        ({"shuffled": float("nan")}, "shuffled must be a share"),
        ({"forged": "0.5"}, "forged must be a share"),
        ({"late": 1.0}, "late must be a distribution"),
        ({"analysis_time": None}, "analysis_time must be a distribution"),
        ({"held_back": 1.0}, "held_back must be a distribution"),
        ({"retry_wait": float("inf")}, "retry_wait must be a finite number of seconds"),
    ],
)
def test_wrong_plans(knobs: dict[str, Any], message: str) -> None:
    """A slip in the plan would send other webhooks in silence."""
    with pytest.raises(ValueError, match=message):
        WebhookPlan(**knobs)
