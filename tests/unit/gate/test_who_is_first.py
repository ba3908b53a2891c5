"""One lane's queue beside a plain list: who is first, and how much is kept of those who left."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from callguard import Lane
from callguard.gate.queue import Grant, Queue, Waiter

STEPS = st.lists(
    st.one_of(
        st.just(("join", 0)),
        st.tuples(st.just("come back"), st.integers(0, 30)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
    ),
    max_size=120,
)


@given(steps=STEPS)
def test_whoever_came_first_is_first_however_the_others_leave(
    steps: list[tuple[str, int]],
) -> None:
    """A caller would be overtaken by one that came later, or be forgotten."""
    loop = asyncio.new_event_loop()
    queue, waiting, gone, rank = Queue(Lane("default")), list[Waiter](), list[Waiter](), 0
    for step, which in steps:
        if step == "join":
            rank += 1
            waiting.append(_joined(queue, rank, loop))
        elif step == "come back" and gone:
            again = gone.pop(which % len(gone))
            waiting.append(_joined(queue, again.rank, loop))
            waiting.sort(key=lambda waiter: waiter.rank)
        elif step == "leave" and waiting:
            leaving = waiting.pop(which % len(waiting))
            assert queue.leave(leaving, 0.0), "it was in the queue"
            assert not queue.leave(leaving, 0.0), "it was out of the queue already"
            gone.append(leaving)
        assert queue.length == len(waiting)
        if waiting:
            assert queue.first() is waiting[0]
    loop.close()


def test_those_who_left_are_not_kept_for_ever() -> None:
    """A queue whose head never moves would grow with every caller that gives up behind it."""
    loop = asyncio.new_event_loop()
    queue = Queue(Lane("default"))
    head = _joined(queue, 1, loop)
    for rank in range(2, 2_000):
        queue.leave(_joined(queue, rank, loop), 0.0)
    assert (queue.first(), queue.length) == (head, 1)
    assert len(queue._waiters) < 50
    loop.close()


def _joined(queue: Queue, rank: int, loop: asyncio.AbstractEventLoop) -> Waiter:
    future: asyncio.Future[Grant] = loop.create_future()
    waiter = Waiter(queue, rank, 0.0, future)
    queue.join(waiter)
    return waiter
