"""The outbox: what a worker reports to the server in one exchange, and in which order."""

from callguard.ledger.redis.outbox import Outbox
from callguard.ledger.redis.pauses import PAUSING, scope_key

EVERYTHING, URGENT = scope_key(None, None), scope_key("urgent", None)


def test_what_is_resumed_goes_ahead_of_all_else() -> None:
    """A caller on a resumed lane could be granted a slot before the server hears of the resume."""
    outbox = Outbox(at_once=1)
    outbox.say("place", 1)
    outbox.say(PAUSING, URGENT)
    assert outbox.batch() == [(PAUSING, URGENT)]
    outbox.reported()
    assert outbox.batch() == [("place", 1)]


def test_every_pause_goes_into_one_exchange() -> None:
    """The claims would rest on a pause that the server hasn't heard of, or gates report it late."""
    outbox = Outbox(at_once=1)
    outbox.say(PAUSING, URGENT)
    outbox.note("note_ended", "a call")
    outbox.say(PAUSING, EVERYTHING, "web:7", "trouble")
    assert outbox.batch() == [(PAUSING, URGENT), (PAUSING, EVERYTHING, "web:7", "trouble")]
    assert not outbox.batch_is_all


def test_the_latest_word_on_a_scope_is_reported_alone() -> None:
    """A resume that came after a pause could be undone by it."""
    outbox = Outbox()
    outbox.say(PAUSING, URGENT, "web:7", "trouble")
    outbox.say(PAUSING, URGENT)
    assert outbox.batch() == [(PAUSING, URGENT)]
