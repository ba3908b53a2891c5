"""What is paused, on the server: whoever doesn't know of it gets nothing."""

from __future__ import annotations

import json

import pytest

from callguard.ledger import DatedPause
from callguard.ledger.redis.pauses import pauses_in, scope_key, with_unheard
from tests.unit.ledger.bent_clock import BentLedger, Worker, claim

BULK = scope_key("bulk", None)


def test_a_worker_that_does_not_know_what_is_paused_gets_nothing_until_it_does(
    ledger: BentLedger,
) -> None:
    """A slot would be given for a claim of what was paused a moment ago."""
    one, other = Worker(ledger, "one"), Worker(ledger, "other")
    one.join()
    other.join()
    ledger.now += 1000
    one.read()
    other.say()
    one.say(["pause", BULK, "host:1", "why"])
    before = other.say(claims=[claim(ceiling=9)])
    assert (before.get("grants"), before["again"]) == (None, 0)
    version, text, shown = before["pauses"]
    assert pauses_in(text) == (DatedPause("bulk", None, "host:1", shown / 1000, "why"),)
    after = other.say(claims=[claim(ceiling=9)], pauses=version)
    assert len(after["grants"]) == 1
    assert "pauses" not in after


def test_since_when_is_by_the_time_that_passed_though_there_was_no_worker(
    ledger: BentLedger,
) -> None:
    """After a night without workers, a pause of yesterday would seem to be of just now."""
    worker = Worker(ledger, "one")
    worker.join()
    worker.say(["pause", BULK, "host:1", ""])
    ledger.now += 30 * 60_000
    later = Worker(ledger, "other")
    _, text, shown = later.join()["pauses"]
    [pause] = pauses_in(text)
    assert shown / 1000 - pause.since == 30 * 60


def test_what_is_resumed_is_gone_and_what_else_is_paused_stays(ledger: BentLedger) -> None:
    """A pause would come back, or end with another."""
    worker = Worker(ledger, "one")
    worker.join()
    everything = scope_key(None, None)
    worker.say(
        ["pause", BULK, "host:1", ""], ["pause", everything, "host:2", "no \\u0022 reason é"]
    )
    said = worker.say(["pause", BULK])
    assert [(each.lane, each.by) for each in pauses_in(said["pauses"][1])] == [(None, "host:2")]
    said = worker.say(["pause", everything])
    assert pauses_in(said["pauses"][1]) == ()


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "5",
        '{"x": {}}',
        json.dumps({BULK: {}}),
        json.dumps({BULK: {"since": None}}),
        json.dumps({BULK: {"by": "host:1", "since": 1}}),
        json.dumps({BULK: {"by": 5, "reason": "", "since": 1}}),
        json.dumps({BULK: {"by": "", "reason": "", "since": "x"}}),
        json.dumps({"[5, null]": {"by": "", "reason": "", "since": 1}}),
    ],
)
def test_what_is_no_pause_is_not_believed(text: str) -> None:
    """Whatever anybody writes to the server would end up in a gate."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        pauses_in(text)


def test_what_a_worker_has_yet_to_say_holds_for_it_at_once() -> None:
    """A pause would end for a moment where the server's word was older than it."""
    old = DatedPause("bulk", None, "host:1", 5.0, ""), DatedPause(None, "twilio", "host:1", 5.0, "")
    happenings = [("note_change",), ("pause", BULK), ("pause", scope_key("a", "b"), "me", "why")]
    assert with_unheard(old, happenings, 9.0) == (old[1], DatedPause("a", "b", "me", 9.0, "why"))


def paused_by(ledger: BentLedger, name: str = "other") -> list[tuple[str | None, str, str]]:
    """What a worker that comes now is told of what is paused: the lane, by whom and why."""
    _, text, _ = Worker(ledger, name).join().get("pauses", (0, "{}", 0))
    return [(pause.lane, pause.by, pause.reason) for pause in pauses_in(text)]


def keys_of(ledger: BentLedger, *names: str) -> list[bytes]:
    return [key for key in ledger.names.keys if key.decode().rpartition(":")[2] in names]


def test_a_pause_holds_though_nobody_uses_the_ledger_for_so_long_that_it_expires(
    ledger: BentLedger,
) -> None:
    """What was paused on Friday would be dialled on Monday."""
    Worker(ledger, "one").join(["pause", BULK, "host:1", "why"])
    expiring = [key for key in ledger.names.keys if ledger.client.pttl(key) >= 0]
    assert [key for key in ledger.names.keys if ledger.client.pttl(key) == -1] == keys_of(
        ledger, "paused"
    )
    ledger.client.delete(*expiring)
    worker = Worker(ledger, "other")
    version, text, _ = worker.join()["pauses"]
    assert [pause.by for pause in pauses_in(text)] == ["host:1"]
    worker.say(["pause", BULK], pauses=version)
    assert not ledger.client.exists(*keys_of(ledger, "paused"))
    assert paused_by(ledger, "third") == []


@pytest.mark.parametrize(
    "lost", [("dialling", "workers"), ("ledger",), ("ledger", "workers"), ("paused", "workers")]
)
def test_a_ledger_that_is_begun_anew_begins_with_what_was_paused(
    ledger: BentLedger, lost: tuple[str, ...]
) -> None:
    """An eviction would end a pause, and nobody would know that it has."""
    worker = Worker(ledger, "one")
    worker.join(["pause", BULK, "host:1", "old"])
    worker.say(["pause", BULK, "host:1", "why"])
    ledger.client.delete(*keys_of(ledger, *lost))
    ledger.now += 10
    epoch = worker.epoch
    assert paused_by(ledger) == [("bulk", "host:1", "why")]
    worker.join()
    assert worker.epoch != epoch
    ledger.client.delete(*keys_of(ledger, "ledger"))
    assert paused_by(ledger, "third") == [("bulk", "host:1", "why")], "it was kept only once"


def test_what_was_resumed_is_not_paused_in_the_ledger_that_is_begun_anew(
    ledger: BentLedger,
) -> None:
    """A pause would come back that somebody has ended."""
    worker = Worker(ledger, "one")
    worker.join(["pause", BULK, "host:1", "why"])
    worker.say(["pause", BULK])
    ledger.client.delete(*keys_of(ledger, "workers"))
    assert paused_by(ledger) == []


def lose_all(ledger: BentLedger) -> None:
    ledger.client.delete(*ledger.names.keys)


def test_what_was_paused_on_a_server_that_has_lost_everything_is_paused_again_by_who_knew(
    ledger: BentLedger,
) -> None:
    """A cache server's restart would end a pause, and everybody would dial."""
    worker = Worker(ledger, "one")
    worker.join(["pause", BULK, "host:1", "why"])
    ledger.now += 5000
    lose_all(ledger)
    assert paused_by(ledger) == []
    worker.join()
    version, text, shown = Worker(ledger, "third").join()["pauses"]
    assert version
    assert pauses_in(text) == (DatedPause("bulk", None, "host:1", shown / 1000 - 5.0, "why"),)
    ledger.client.delete(*keys_of(ledger, "ledger"))
    assert paused_by(ledger, "fourth") == [("bulk", "host:1", "why")], "it was kept only once"


@pytest.mark.parametrize("step", [0, -60_000])
@pytest.mark.parametrize("order", ["knowing first", "knowing last"])
def test_who_has_not_heard_of_a_resume_does_not_undo_it_in_a_ledger_that_has_lost_it(
    ledger: BentLedger, order: str, step: int
) -> None:
    """A pause would come back that somebody has ended, from a worker that was cut off meanwhile."""
    knowing, cut_off = Worker(ledger, "one"), Worker(ledger, "other")
    knowing.join(["pause", BULK, "host:1", "why"])
    cut_off.join()
    ledger.step += step
    knowing.say(["pause", BULK])
    lose_all(ledger)
    ledger.now += 10
    for worker in (knowing, cut_off) if order == "knowing first" else (cut_off, knowing):
        worker.join()
    assert paused_by(ledger, "third") == []
    assert not ledger.client.exists(*keys_of(ledger, "paused"))


def test_what_is_paused_in_a_ledger_that_has_lost_everything_stays_so_as_others_come(
    ledger: BentLedger,
) -> None:
    """A pause that is made after the loss would end as a worker tells of one before it."""
    worker, new = Worker(ledger, "one"), Worker(ledger, "new")
    worker.join(["pause", scope_key(None, "twilio"), "host:1", ""])
    worker.say(["pause", BULK, "host:1", "old"])
    lose_all(ledger)
    ledger.now += 1000
    new.join(["pause", BULK, "host:2", "new"])
    worker.join()
    assert sorted(paused_by(ledger), key=str) == [("bulk", "host:2", "new"), (None, "host:1", "")]


def test_a_worker_that_comes_back_to_the_ledger_that_it_knew_has_nothing_to_add(
    ledger: BentLedger,
) -> None:
    """A pause that was ended long ago would come back with a machine that slept."""
    worker, other = Worker(ledger, "one"), Worker(ledger, "other")
    worker.join(["pause", BULK, "host:1", "why"])
    other.join()
    other.say(["pause", BULK])
    ledger.now += 25 * 3_600_000
    other.join(["pause", scope_key("urgent", None), "host:2", ""])
    assert BULK not in json.loads(other.pauses), "what was resumed is kept for ever"
    worker.join()
    assert paused_by(ledger, "third") == [("urgent", "host:2", "")]
