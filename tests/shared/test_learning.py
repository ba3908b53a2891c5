"""What gates on one ledger learn of ringing calls: they suggest it, and go on as before."""

from __future__ import annotations

import pytest

from callguard import Gate, RedisLedger
from callguard.events import Event, RingingLearnt
from callguard.ledger.redis.suggestions import Suggestion
from tests.shared.provider import provider
from tests.shared.support import eventually, sharing

SUGGESTION = "the provider seems to count ringing calls: to use that, set counts_ringing=True"


def learn(gate: Gate) -> None:
    """Let the gate have learnt that ringing calls are counted."""
    ringing = gate._parts.ringing
    assert ringing is not None
    ringing.learning.score, ringing.learning.learnt = 20, True
    ringing.look()


async def test_two_gates_that_learn_it_make_one_suggestion_and_decide_nothing(
    redis_url: str, workspace_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls would be admitted by what one gate alone has seen, or nobody know what to set."""
    heard: list[Event] = []
    async with (
        provider(limit=9) as workspace,
        RedisLedger.from_url(redis_url, name=workspace_key) as ledger,
        sharing(workspace, ledger, ring_limit=600.0, listener=heard.append) as one,
        sharing(workspace, ledger, ring_limit=600.0) as other,
    ):

        async def seen() -> tuple[Suggestion, ...]:
            return (await ledger.look("key")).suggestions

        async def by(*gates: Gate) -> bool:
            found = [len(each.workers) for each in await seen()]
            return found == ([len(gates)] if gates else [])

        with caplog.at_level("INFO", "callguard"):
            learn(one)
            learn(one)
            await eventually(lambda: by(one))
            learn(other)
            await eventually(lambda: by(one, other))
        assert [record.message for record in caplog.records].count(SUGGESTION) == 2
        [suggestion] = await seen()
        assert suggestion.setting == "counts_ringing=True"
        [event] = [each for each in heard if isinstance(each, RingingLearnt)]
        assert event.counted
        assert not event.applied
        assert not one.statistics().ringing_learnt
        assert "as was learnt" not in str(one.explain())
        async with one.admit() as permit:
            permit.placed("call_1")
        workspace.current = 1

        async def is_read() -> bool:
            await one._parts.schedule.renew()
            usage = one.statistics().usage
            return (usage.reported, usage.dialling) == (1, 0)

        await eventually(is_read)
        assert one.statistics().usage.uncounted == 1, "it may ring for ten minutes"
        async with one.admit() as permit:
            permit.refused(429)
        assert one.statistics().given_up == []
        await eventually(lambda: by(other))
    assert [each.counted for each in heard if isinstance(each, RingingLearnt)] == [True, False]
