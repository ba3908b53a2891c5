"""A limit to how long each of many waits may take."""

from __future__ import annotations

import asyncio

import pytest

from callguard.ledger.redis.deadline import Deadline
from tests.support.virtual_time import run


async def wait(deadline: Deadline, seconds: float) -> float:
    """How long a wait of so many seconds took, whether it was ended or not."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        with deadline:
            await asyncio.sleep(seconds)
    except TimeoutError:
        return began - loop.time()
    return loop.time() - began


def test_each_wait_has_the_same_time() -> None:
    """A server that hangs would be waited for for ever, or a slow one given up too early."""

    async def main() -> list[float]:
        deadline = Deadline(2.0)
        return [await wait(deadline, seconds) for seconds in (1.5, 1.9, 5.0, 1.9, 0.0, 5.0, 1.0)]

    ended_after = -2.0
    assert run(main()) == pytest.approx([1.5, 1.9, ended_after, 1.9, 0.0, ended_after, 1.0])


def test_a_pause_between_waits_ends_none() -> None:
    """The timer of a wait that is over would cancel whatever comes next."""

    async def main() -> float:
        deadline = Deadline(2.0)
        await wait(deadline, 1.0)
        await asyncio.sleep(10.0)
        return await wait(deadline, 1.5)

    assert run(main()) == pytest.approx(1.5)


@pytest.mark.parametrize("after", [1.0, 2.0])
def test_a_wait_that_somebody_cancels_is_cancelled(after: float) -> None:
    """A worker that is closed would take that for a server that hangs, and go on."""

    async def main() -> bool:
        waiting = asyncio.create_task(wait(Deadline(2.0), 5.0))
        await asyncio.sleep(0.0)
        asyncio.get_running_loop().call_later(after, waiting.cancel)
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert run(main())


def test_a_task_is_not_cancelled_for_good_by_a_wait_that_ended() -> None:
    """What asks later whether it is being cancelled would hear that it is."""

    async def main() -> int:
        await wait(Deadline(2.0), 5.0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main()) == 0


def test_a_deadline_that_is_closed_leaves_no_timer() -> None:
    """Whoever closes a gate would have its timers for seconds after."""

    async def main() -> None:
        deadline = Deadline(2.0)
        await wait(deadline, 1.0)
        deadline.close()
        deadline.close()
        assert await wait(deadline, 5.0) == pytest.approx(-2.0)

    run(main())
