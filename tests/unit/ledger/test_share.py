"""What a worker does with its own share of the slots while the server is away, and after.

The times are those of `test_scripts`: a call is visible 2000 ms after its dial, and a lease lasts
for 10000 ms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import pytest

from callguard import CallGuardError, Limits, Snapshot
from callguard.ledger import Claim, DatedPause
from tests.unit.ledger.bent_clock import BentLedger, Worker, side_of

WORKERS, PERMITS = 1, 3
"""Which key is which."""


LIMITS = json.dumps(asdict(Limits(current_concurrency=0, concurrency_limit=9)))


class Sharer:
    """A worker with a share of three, which says what the test lets through."""

    def __init__(self, ledger: BentLedger) -> None:
        self.wanted: list[Claim] = []
        self.given: list[int] = []
        self.reported_lost: dict[int, str] = {}
        self._slept = 0.0
        self._ledger = ledger
        side = side_of("sharer", ledger.names, ledger.settings, self, lambda: self.now, share=3)
        self.view, self._conversation = side.view, side.conversation

    @property
    def now(self) -> float:
        return self._ledger.now / 1000 - self._slept

    def sleep(self, seconds: int, meanwhile: Callable[[], object] = bool) -> None:
        """The machine sleeps, which the worker notices as it wakes.

        Args:
            seconds: for so long.
            meanwhile: what others do one second before its end.
        """
        self._ledger.now += seconds * 1000 - 1000
        meanwhile()
        self._ledger.now += 1000
        self._slept += seconds
        self.view.note_sleep(seconds, self.now)
        self._conversation.note_sleep(seconds)

    def say(self) -> bool:
        """Make one exchange; whether it took place."""
        return self._believe(self._ledger.run(*self._conversation.request()))

    def come(self) -> None:
        """Make exchanges until nothing is left to tell."""
        self.view.alone = not self.say() and not self.say()
        for _ in range(9):
            if self.view.outbox and not self.view.alone:
                self.say()

    def lose(self, *, unsent: bool = False) -> None:
        """Make an exchange whose answer doesn't come, and go on alone."""
        request = self._conversation.request()
        if not unsent:
            self._ledger.run(*request)
        self._conversation.doubt()
        self.view.alone = True

    def begin(self) -> tuple[str, bytes]:
        """Send an exchange that is under way until `end`."""
        return self._conversation.request()

    def hear(self, answer: bytes) -> None:
        """Take in an answer that was long under way."""
        self._believe(answer)

    def end(self, request: tuple[str, bytes]) -> None:
        if self._believe(self._ledger.run(*request)):
            self.view.alone = False

    def take(self) -> int:
        """A permit out of the share."""
        number = self.view.acquire(9, self.now)
        assert number, "the share gives nothing"
        return number

    def is_lost(self, number: int) -> bool:
        return self.view.lost(number, self.now)

    def _believe(self, answer: bytes) -> bool:
        accepted = self._conversation.accept(answer)
        if not accepted:
            self._conversation.doubt()
        return accepted

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return list(self.wanted)

    def granted(self, claim: Claim, number: int, usage: int) -> None:
        self.given.append(number)
        self.wanted.clear()

    def lost(self, lanes: Mapping[int, str]) -> None:
        self.reported_lost.update(lanes)

    def take_pauses(self, pauses: Sequence[DatedPause]) -> None: ...

    def unreachable(self, error: CallGuardError) -> None:
        raise AssertionError("nobody says so here")

    def reachable(self, duration: float) -> None:
        raise AssertionError("nobody says so here")


def permits(ledger: BentLedger) -> set[bytes]:
    return set(ledger.client.hkeys(ledger.names.keys[PERMITS]))  # type: ignore[arg-type]


def outlive(ledger: BentLedger, sharer: Sharer) -> None:
    """Let the sharer's lease run out, and somebody notice."""
    other = Worker(ledger, "other")
    other.join()
    ledger.now = 20_000
    other.say()
    lease = ledger.client.zscore(ledger.names.keys[WORKERS], "sharer")
    assert isinstance(lease, float), "the sharer was never known"
    assert lease < 0, "the sharer has its lease still"


@pytest.fixture
def sharer(ledger: BentLedger) -> Sharer:
    """A worker that knows of a reading at 10 ms."""
    reader = Worker(ledger, "reader")
    reader.join()
    ledger.now = 10
    turn = reader.turn()
    assert turn is not None
    reader.say(taken={**turn, "current": 0, "limits": LIMITS})
    sharer = Sharer(ledger)
    sharer.come()
    return sharer


@pytest.mark.parametrize("asks", [False, True])
def test_a_permit_given_while_an_exchange_was_under_way_is_known_afterwards(
    ledger: BentLedger, sharer: Sharer, asks: bool
) -> None:
    """Its call would be in no ledger once the server is back, and its slot be given again."""
    sharer.lose(unsent=True)
    if asks:
        sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    request = sharer.begin()
    number = sharer.take()
    sharer.end(request)
    sharer.come()
    assert number not in sharer.given
    assert len(permits(ledger)) == 1 + len(sharer.given)
    assert f"sharer-{number}".encode() in permits(ledger)


@pytest.mark.parametrize("unsent", [False, True])
@pytest.mark.parametrize("ends", ["place", "release", "withdraw"])
def test_what_became_of_a_permit_of_the_share_is_known_whatever_got_lost(
    ledger: BentLedger, sharer: Sharer, unsent: bool, ends: str
) -> None:
    """A slot would be held for ever, or one that is in use be given to somebody else."""
    sharer.lose(unsent=True)
    number = sharer.take()
    sharer.lose(unsent=unsent)
    if ends != "release":
        sharer.view.place(number, sharer.now)
        sharer.lose(unsent=unsent)
    if ends == "withdraw":
        sharer.view.withdraw(number)
    elif ends == "release":
        sharer.view.release(number)
    sharer.lose(unsent=unsent)
    sharer.come()
    assert permits(ledger) == ({f"sharer-{number}".encode()} if ends == "place" else set())
    assert not sharer.view.held()


def test_a_permit_of_the_share_is_not_lost_with_the_lease(
    ledger: BentLedger, sharer: Sharer
) -> None:
    """Nobody else was given its slot, and yet its call would be cancelled as if."""
    sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    sharer.come()
    (shared,) = sharer.given
    sharer.lose(unsent=True)
    outlive(ledger, sharer)
    sharer.view.record(_reading_at(sharer))
    own = sharer.take()
    assert sharer.is_lost(shared)
    assert not sharer.is_lost(own)
    sharer.come()
    assert sharer.reported_lost == {shared: "default"}
    assert not sharer.is_lost(own)
    assert f"sharer-{own}".encode() in permits(ledger)


@pytest.mark.parametrize("lost_replies", [1, 3])
def test_no_reply_that_gets_lost_hides_that_a_permit_was_lost(
    ledger: BentLedger, sharer: Sharer, lost_replies: int
) -> None:
    """A caller would dial on a slot that was taken for a placed call and is absorbed by now."""
    sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    sharer.come()
    outlive(ledger, sharer)
    for _ in range(lost_replies):
        sharer.lose()
    sharer.come()
    assert sharer.reported_lost == {sharer.given[0]: "default"}
    sharer.reported_lost.clear()
    sharer.come()
    assert not sharer.reported_lost, "once is enough"


@pytest.mark.parametrize("share", [0, 1, 2])
def test_the_share_bounds_what_is_out_alone_whatever_was_given_before(
    ledger: BentLedger, sharer: Sharer, share: int
) -> None:
    """A worker that comes and goes would pass its share by what it held before."""
    for _ in range(share):
        sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
        sharer.come()
    sharer.lose(unsent=True)
    for _ in range(3 - share):
        sharer.take()
    assert not sharer.view.acquire(9, sharer.now)


@pytest.mark.parametrize("ends", ["placed", "released", "withdrawn", "answered"])
def test_an_outage_of_any_length_fills_no_memory(
    ledger: BentLedger, sharer: Sharer, ends: str
) -> None:
    """A server that stays away for a weekend would end the process."""
    sharer.lose(unsent=True)
    for call in range(2_000):
        ledger.now += 3_000
        sharer.view.record(_reading_at(sharer))
        sharer.view.note_change(sharer.now)
        number = sharer.take()
        if ends == "released":
            sharer.view.release(number)
            continue
        sharer.view.place(number, sharer.now)
        sharer.view.bind(number, f"call_{call}", sharer.now)
        if ends == "answered":
            sharer.view.answered(number, sharer.now)
        if ends == "withdrawn":
            sharer.view.withdraw(number)
        sharer.view.refuse(sharer.now)
    ledger.now += 3_000
    sharer.view.record(_reading_at(sharer))
    assert len(sharer.view.outbox.pending()) <= 2, "that the count changed, and that one is refused"
    assert not sharer.view.held()


def test_evidence_of_an_outage_of_any_length_fills_no_memory(sharer: Sharer) -> None:
    """Webhooks go on while the server is away."""
    sharer.lose(unsent=True)
    for number in range(30_000):
        sharer.view.note_answered(f"call_{number}", sharer.now)
        sharer.view.note_ended(f"call_{number}", sharer.now)
    told = 0
    while sharer.view.outbox:
        told += len(sharer.view.outbox.batch())
        sharer.view.reported()
    assert told == 10_000


@pytest.mark.parametrize("asks", [False, True])
def test_a_worker_that_slept_is_given_nothing_by_a_reading_from_before(
    ledger: BentLedger, sharer: Sharer, asks: bool
) -> None:
    """The ledger's clock would stand still with that of its only worker, and the count be old."""
    if asks:
        sharer.wanted.append(Claim("default", 0, 0, 1, 0.0))
        sharer.come()
    sharer.sleep(3600)
    sharer.wanted[:] = [Claim("default", 0, 9, 1, 0.0)]
    sharer.come()
    assert not sharer.given
    snapshot = sharer.view.snapshot
    assert snapshot is not None
    assert sharer.now - snapshot.began > 3600


def test_a_snapshot_that_others_took_during_a_sleep_is_as_old_as_it_is(
    ledger: BentLedger, sharer: Sharer
) -> None:
    """A sleep that the server's dates allow for would be taken off once more."""
    others = Worker(ledger, "others")
    others.join()

    def read() -> None:
        turn = others.turn()
        assert turn is not None
        others.say(taken={**turn, "current": 0, "limits": LIMITS})

    sharer.sleep(9, meanwhile=read)
    sharer.come()
    snapshot = sharer.view.snapshot
    assert snapshot is not None
    assert sharer.now - snapshot.began == pytest.approx(1.0, abs=0.01)


def test_nobody_asks_about_a_call_that_is_known_to_be_over(
    ledger: BentLedger, sharer: Sharer
) -> None:
    """The provider would be asked, again and again, about a call whose end came first."""
    sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    sharer.come()
    (number,) = sharer.given
    sharer.view.note_ended("call_1", sharer.now)
    sharer.view.place(number, sharer.now)
    sharer.view.bind(number, "call_1", sharer.now)
    assert list(sharer.view.uncounted_calls()) == []


@pytest.mark.parametrize(("slept", "lost"), [(5, False), (11, True), (3600, True)])
def test_a_permit_from_before_a_sleep_is_lost_with_the_lease(
    ledger: BentLedger, sharer: Sharer, slept: int, lost: bool
) -> None:
    """A caller would wake, and dial on a slot that was given to somebody else meanwhile."""
    sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    sharer.come()
    sharer.sleep(slept)
    assert sharer.is_lost(sharer.given[0]) is lost
    sharer.come()
    assert sharer.is_lost(sharer.given[0]) is lost
    assert bool(sharer.reported_lost) is lost


def test_an_answer_that_was_under_way_through_a_sleep_gives_no_slot_that_is_lost(
    ledger: BentLedger, sharer: Sharer
) -> None:
    """The lease ran out while the machine slept, and the slot is somebody else's by now."""
    sharer.wanted.append(Claim("default", 0, 9, 1, 0.0))
    answer = ledger.run(*sharer.begin())
    sharer.sleep(3600)
    sharer.hear(answer)
    assert not sharer.given
    sharer.come()
    assert not permits(ledger)


def _reading_at(sharer: Sharer) -> Snapshot:
    known = sharer.view.snapshot
    assert known is not None
    return Snapshot(known.limits, sharer.now, sharer.now)
