from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Mapping

import pytest

from callguard import LimitsRejected, LimitsUnavailable, Snapshot, UsageError
from callguard.fetcher import LimitFetcher
from tests.support.fake_network import (
    FakeSession,
    Handler,
    Reply,
    after,
    hang,
    in_turn,
    limits_reply,
)
from tests.support.virtual_time import VirtualTimeLoop, run
from tests.unit.fetcher.leaks import KEY, assert_silent


def counting() -> Handler:
    """Answers after half a second, each time with one call more."""
    count = 0

    async def handle(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
        nonlocal count
        count += 1
        current = count
        await asyncio.sleep(0.5)
        return limits_reply(current)

    return handle


def fetcher_of(session: FakeSession, **options: float) -> LimitFetcher:
    return LimitFetcher(KEY, session=session, **options)  # type: ignore[arg-type]


def now() -> float:
    return asyncio.get_running_loop().time()


def fail(name: str) -> None:
    raise KeyError(name)


def tasks_but_this() -> set[asyncio.Task[object]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


def test_a_thousand_callers_cause_one_request() -> None:
    """If this fails, every waiting caller asks the provider for itself."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session) as fetcher:
            snapshots = await asyncio.gather(*[fetcher.get() for _ in range(1000)])
            assert len(session.requests) == 1
            assert set(map(id, snapshots)) == {id(fetcher.latest)}

    run(main())


def test_callers_that_come_later_join_the_request_under_way() -> None:
    """If this fails, a slow answer makes the requests pile up."""

    async def main() -> None:
        session = FakeSession(after(3, limits_reply()))
        async with fetcher_of(session) as fetcher:
            callers = []
            for _ in range(6):
                callers.append(asyncio.create_task(fetcher.get()))
                await asyncio.sleep(0.5)
            await asyncio.gather(*callers)
            assert len(session.requests) == 1

    run(main())


@pytest.mark.parametrize(("age", "requests"), [(0.5, 1), (0.999, 1), (1.0, 2), (5.0, 2)])
def test_a_reading_is_handed_out_again_until_it_is_ttl_old(age: float, requests: int) -> None:
    """If this fails, a snapshot's age is not counted from its request's beginning."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session, ttl=1) as fetcher:
            first = await fetcher.get()
            await asyncio.sleep(first.began + age - now())
            second = await fetcher.get()
            assert len(session.requests) == requests
            assert second.limits.current_concurrency == requests

    run(main())


def test_a_reading_slower_than_ttl_is_handed_to_those_who_waited_for_it() -> None:
    """If this fails, a provider slower than `ttl` is asked for ever."""

    async def main() -> None:
        session = FakeSession(after(3, limits_reply(7)))
        async with fetcher_of(session, ttl=1) as fetcher:
            assert (await fetcher.get()).limits.current_concurrency == 7
            assert now() == 3
            await fetcher.get()
            assert len(session.requests) == 2

    run(main())


def test_a_newer_reading_than_the_cached_one_is_fetched() -> None:
    """If this fails, a caller that needs a later snapshot gets the one it knows."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session, ttl=60) as fetcher:
            first = await fetcher.get()
            assert await fetcher.get(newer_than=first.began - 1) is first
            second = await fetcher.get(newer_than=first.began)
            assert second.began > first.began
            assert await fetcher.get() is second
            assert len(session.requests) == 2

    run(main())


def test_newer_than_now_is_answered_by_one_request() -> None:
    """If this fails, "later than now" is asked for in a loop while the clock stands still."""

    async def main() -> None:
        session = FakeSession(in_turn(limits_reply()))
        async with fetcher_of(session) as fetcher:
            moment = now()
            snapshots = await asyncio.gather(*[fetcher.get(newer_than=moment) for _ in range(9)])
            assert {snapshot.began > moment for snapshot in snapshots} == {True}
            assert len(session.requests) == 1
            assert now() < 0.01

    run(main())


def test_a_moment_in_the_future_is_waited_for() -> None:
    """If this fails, requests go out that can't be late enough."""

    async def main() -> None:
        session = FakeSession(in_turn(limits_reply()))
        async with fetcher_of(session) as fetcher:
            snapshot = await fetcher.get(newer_than=30)
            assert 30 < snapshot.began < 30.01
            assert len(session.requests) == 1

    run(main())


def test_a_request_that_began_too_early_is_followed_by_another() -> None:
    """If this fails, a reading under way counts as later than what happened since it began."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session) as fetcher:
            early = asyncio.create_task(fetcher.get())
            await asyncio.sleep(0.2)
            late = await fetcher.get(newer_than=now() - 0.1)
            assert (await early).limits.current_concurrency == 1
            assert late.limits.current_concurrency == 2
            assert [request.at for request in session.requests] == [0.0, 0.5]

    run(main())


def test_callers_that_the_request_is_too_early_for_share_the_next_one() -> None:
    """If this fails, those who wait for a later snapshot each cause one."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session) as fetcher:
            early = asyncio.create_task(fetcher.get())
            await asyncio.sleep(0.2)
            await asyncio.gather(*[fetcher.get(newer_than=0.1) for _ in range(100)])
            assert await early is not fetcher.latest
            assert len(session.requests) == 2

    run(main())


def test_a_request_whose_last_attempt_is_late_enough_counts() -> None:
    """If this fails, a retried snapshot is dated by its first attempt, and asked for again."""

    async def main() -> None:
        session = FakeSession(in_turn(after(1, Reply(status=503)), after(1, limits_reply())))
        async with fetcher_of(session) as fetcher:
            early = asyncio.create_task(fetcher.get())
            await asyncio.sleep(0.9)
            late = await fetcher.get(newer_than=0.8)
            assert late is await early
            assert late.began == session.requests[1].at
            assert len(session.requests) == 2

    run(main())


@pytest.mark.parametrize("moment", [math.nan, math.inf])
def test_what_is_no_moment_is_refused(moment: float) -> None:
    """If this fails, a broken `newer_than` asks for ever, or waits for ever."""

    async def main() -> None:
        session = FakeSession(hang)
        async with fetcher_of(session) as fetcher:
            with pytest.raises(ValueError, match=f"newer_than .*{moment!r}"):
                await fetcher.get(newer_than=moment)
            assert session.requests == []

    run(main())


def test_a_cancelled_caller_leaves_the_request_to_the_others() -> None:
    """If this fails, one impatient caller takes everyone's snapshot away."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session) as fetcher:
            first, *others = [asyncio.create_task(fetcher.get()) for _ in range(10)]
            await asyncio.sleep(0.2)
            first.cancel()
            await asyncio.wait([first])
            assert first.cancelled()
            assert now() == 0.2
            assert len(set(map(id, await asyncio.gather(*others)))) == 1
            assert len(session.requests) == 1

    run(main())


def test_a_request_that_everyone_left_goes_on_and_is_cached() -> None:
    """If this fails, cancelled callers waste a request, and the next ones cause another."""

    async def main() -> None:
        session = FakeSession(counting())
        async with fetcher_of(session) as fetcher:
            callers = [asyncio.create_task(fetcher.get()) for _ in range(10)]
            await asyncio.sleep(0.2)
            for caller in callers:
                caller.cancel()
            await asyncio.wait(callers)
            await asyncio.sleep(0.4)
            assert not tasks_but_this()
            assert await fetcher.get() is fetcher.latest
            assert now() == pytest.approx(0.6)
            assert len(session.requests) == 1

    run(main())


def test_a_failure_that_nobody_waits_for_goes_unheard(caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, asyncio logs "exception was never retrieved" for a request left alone."""

    async def main() -> None:
        session = FakeSession(after(0.5, Reply(status=401)))
        async with fetcher_of(session) as fetcher:
            caller = asyncio.create_task(fetcher.get())
            await asyncio.sleep(0.2)
            caller.cancel()
            await asyncio.sleep(1)
        del fetcher, session, caller
        gc.collect()

    run(main())
    assert_silent(caplog)


def test_a_failure_reaches_everyone_and_is_not_cached() -> None:
    """If this fails, some callers hang after a failure, or a failure outlives its cause."""

    async def main() -> None:
        session = FakeSession(in_turn(after(0.5, Reply(status=401)), limits_reply(4)))
        async with fetcher_of(session) as fetcher:
            callers = [fetcher.get() for _ in range(100)]
            errors = await asyncio.gather(*callers, return_exceptions=True)
            assert {type(error) for error in errors} == {LimitsRejected}
            assert len(session.requests) == 1
            assert fetcher.latest is None
            assert (await fetcher.get()).limits.current_concurrency == 4

    run(main())


def test_a_failure_leaves_the_last_reading_known() -> None:
    """If this fails, an outage makes the fetcher forget what it knew, or hand it out as new."""

    async def main() -> None:
        session = FakeSession(in_turn(limits_reply(4), Reply(status=503)))
        async with fetcher_of(session) as fetcher:
            first = await fetcher.get()
            await asyncio.sleep(2)
            with pytest.raises(LimitsUnavailable):
                await fetcher.get()
            assert fetcher.latest is first

    run(main())


def test_each_caller_gets_an_error_of_its_own() -> None:
    """If this fails, what one caller was handling shows up in another's traceback."""

    async def caller(fetcher: LimitFetcher, name: str) -> LimitsUnavailable:
        try:
            fail(name)
        except KeyError:
            with pytest.raises(LimitsUnavailable) as caught:
                await fetcher.get()
        return caught.value

    async def main() -> None:
        session = FakeSession(after(0.1, Reply(status=503, headers={"Retry-After": "30"})))
        async with fetcher_of(session) as fetcher:
            one, other = await asyncio.gather(caller(fetcher, "one"), caller(fetcher, "other"))
        assert str(one) == str(other)
        assert one.retry_after == other.retry_after == 30
        assert str(one.__context__) == "'one'"
        assert str(other.__context__) == "'other'"

    run(main())


def test_an_older_reading_never_replaces_a_newer_one() -> None:
    """If this fails, a late answer brings back a count that is known to be past."""

    def turn_the_clock_back(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.now = 5.0
        return Reply(status=503)

    async def main() -> None:
        handler = in_turn(limits_reply(1), turn_the_clock_back, limits_reply(2), limits_reply(3))
        async with fetcher_of(FakeSession(handler)) as fetcher:
            await asyncio.sleep(10)
            newest = await fetcher.get()
            await asyncio.sleep(10)
            assert await fetcher.get() is newest
            assert now() < 10
            assert fetcher.latest is newest
            await asyncio.sleep(20)
            assert (await fetcher.get()).limits.current_concurrency == 3

    run(main())


def test_latest_is_the_newest_reading_whatever_its_age() -> None:
    """If this fails, the last known limits can't be shown during an outage."""

    async def main() -> None:
        async with fetcher_of(FakeSession(counting())) as fetcher:
            assert fetcher.latest is None
            snapshot = await fetcher.get()
            await asyncio.sleep(3600)
            assert fetcher.latest is snapshot

    run(main())


def test_closing_ends_the_request_and_tells_its_callers() -> None:
    """If this fails, closing leaves a task behind, or callers that wait for ever."""

    async def main() -> None:
        session = FakeSession(hang)
        fetcher = fetcher_of(session)
        callers = [asyncio.create_task(fetcher.get()) for _ in range(10)]
        await asyncio.sleep(1)
        await fetcher.aclose()
        errors = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(error) for error in errors} == {UsageError}
        assert "closed" in str(errors[0])
        assert not tasks_but_this()
        assert not session.closed

    run(main())


def test_closing_before_the_request_has_begun_tells_its_callers() -> None:
    """If this fails, closing at once cancels the callers themselves."""

    async def main() -> None:
        session = FakeSession(hang)
        fetcher = fetcher_of(session)
        caller = asyncio.create_task(fetcher.get())
        if fetcher._flight is None:
            await asyncio.sleep(0)
        await fetcher.aclose()
        with pytest.raises(UsageError, match="closed"):
            await caller
        assert session.requests == []

    run(main())


def test_a_closed_fetcher_hands_out_nothing() -> None:
    """If this fails, a closed fetcher goes on with what it has cached."""

    async def main() -> None:
        async with fetcher_of(FakeSession(counting()), ttl=60) as fetcher:
            await fetcher.get()
        await fetcher.aclose()
        with pytest.raises(UsageError, match="closed"):
            await fetcher.get()
        assert fetcher.latest is not None

    run(main())


def test_a_caller_that_waits_for_a_later_reading_is_told_of_the_closing() -> None:
    """If this fails, closing between two requests starts the second one."""

    async def main() -> None:
        session = FakeSession(counting())
        fetcher = fetcher_of(session)
        early = asyncio.create_task(fetcher.get())
        await asyncio.sleep(0.2)
        late = asyncio.create_task(fetcher.get(newer_than=0.1))
        await early
        await fetcher.aclose()
        with pytest.raises(UsageError, match="closed"):
            await late
        assert not tasks_but_this()

    run(main())


def test_a_fetcher_stays_in_its_event_loop() -> None:
    """If this fails, a fetcher used from a second loop breaks in ways that name no cause."""
    fetcher = fetcher_of(FakeSession(counting()))

    async def main() -> Snapshot:
        return await fetcher.get()

    run(main())
    with pytest.raises(UsageError, match="another event loop"):
        run(main())


def test_a_fetcher_can_be_made_before_there_is_a_loop() -> None:
    """If this fails, a fetcher can't be a module's or an application's attribute."""
    fetcher = LimitFetcher(KEY)
    assert fetcher.latest is None


def test_the_repr_shows_no_key() -> None:
    """If this fails, a debugger's or a logger's repr shows the key."""
    assert repr(LimitFetcher(KEY)) == (
        "LimitFetcher(ProviderClient(base_url='https://api.retellai.com'), ttl=1.0, deadline=10.0)"
    )


def test_nothing_is_logged_by_a_reading(caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, the fetcher writes into its host's log."""
    caplog.set_level("DEBUG")

    async def main() -> None:
        async with fetcher_of(FakeSession(in_turn(Reply(status=503), limits_reply()))) as fetcher:
            await fetcher.get()

    run(main())
    assert_silent(caplog)
