"""A second request, where the answer to the first one is late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from callguard import LimitFetcher, LimitsRejected, LimitsUnavailable, Snapshot, UsageError
from tests.support.fake_network import FakeSession, Handler, Reply, after, hang, in_turn
from tests.support.fake_network import limits_reply as limits
from tests.support.virtual_time import run
from tests.unit.fetcher.leaks import KEY

PROMPT = after(0.1, limits(1))
"""An answer after 0.1 s, so that the next one is late after 0.5 s."""


class Provider:
    """Answers in turn, and knows how many requests are under way.

    Attributes:
        began: when each request began.
        most: requests under way at once, at most.
        broken_off: requests whose client left before there was an answer.
    """

    def __init__(self, *outcomes: Reply | Exception | Handler) -> None:
        self._handler = in_turn(*outcomes)
        self.began: list[float] = []
        self.under_way = self.most = self.broken_off = 0

    async def __call__(self, method: str, url: str, headers: Mapping[str, str]) -> Reply:
        self.began.append(now())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            outcome = self._handler(method, url, headers)
            return outcome if isinstance(outcome, Reply) else await outcome
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        finally:
            self.under_way -= 1


def now() -> float:
    return asyncio.get_running_loop().time()


def with_fetcher(
    provider: Provider, test: Callable[[LimitFetcher], Awaitable[None]], **options: Any
) -> None:
    """Run `test` on a fetcher that has one snapshot, and see that nothing is left of it."""

    async def main() -> None:
        async with LimitFetcher(
            KEY, session=FakeSession(provider), attempts=1, **options
        ) as fetcher:
            await fetcher.get()
            await test(fetcher)
        assert provider.under_way == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


async def newer(fetcher: LimitFetcher) -> Snapshot:
    """A snapshot that begins from now on."""
    return await fetcher.get(newer_than=now())


def test_a_request_that_hangs_costs_half_a_second() -> None:
    """A dead connection would leave the gate without a snapshot until its time-out."""
    provider = Provider(PROMPT, hang, after(0.1, limits(2)))

    async def test(fetcher: LimitFetcher) -> None:
        snapshot = await newer(fetcher)
        _, first, second = provider.began
        assert snapshot.limits.current_concurrency == 2
        assert snapshot.began == second == pytest.approx(first + 0.5)
        assert snapshot.received == pytest.approx(second + 0.1)
        assert (provider.most, provider.broken_off, provider.under_way) == (2, 1, 0)

    with_fetcher(provider, test)


def test_the_first_answer_wins_even_if_it_is_that_of_the_first_request() -> None:
    """A snapshot would be dated by the other request, and count calls that it can't have seen."""
    provider = Provider(PROMPT, after(0.7, limits(2)), hang)

    async def test(fetcher: LimitFetcher) -> None:
        snapshot = await newer(fetcher)
        _, first, second = provider.began
        assert snapshot.limits.current_concurrency == 2
        assert snapshot.began == first
        assert second == pytest.approx(first + 0.5)
        assert (provider.most, provider.broken_off) == (2, 1)

    with_fetcher(provider, test)


def test_an_answer_that_is_not_late_is_asked_for_once() -> None:
    """Every slow answer would cost two requests."""
    provider = Provider(PROMPT, after(0.49, limits(2)))

    async def test(fetcher: LimitFetcher) -> None:
        await newer(fetcher)
        assert (len(provider.began), provider.most) == (2, 1)

    with_fetcher(provider, test)


def test_there_are_never_more_than_two_nor_longer_than_the_time_out() -> None:
    """A provider that hangs would be asked more and more, or longer than before."""
    provider = Provider(PROMPT, hang)

    async def test(fetcher: LimitFetcher) -> None:
        began = now()
        with pytest.raises(LimitsUnavailable, match="no answer within 5 s"):
            await newer(fetcher)
        assert now() == pytest.approx(began + 5.0, abs=0.01)
        assert (len(provider.began), provider.most, provider.broken_off) == (3, 2, 2)

    with_fetcher(provider, test)


def test_an_outage_is_asked_about_once_at_a_time() -> None:
    """A provider that is down would get twice the requests until it is back."""
    provider = Provider(PROMPT, hang, hang, hang, hang, PROMPT, hang, PROMPT)

    async def test(fetcher: LimitFetcher) -> None:
        asked = []
        for _ in range(3):
            with pytest.raises(LimitsUnavailable):
                await newer(fetcher)
            asked.append(len(provider.began))
        assert asked == [3, 4, 5]
        await newer(fetcher)
        await newer(fetcher)
        assert len(provider.began) == 8

    with_fetcher(provider, test)


def test_the_first_reading_waits_for_its_answer() -> None:
    """A provider of which nobody knows how fast it is would be asked twice by every worker."""

    async def main() -> None:
        provider = Provider(after(4.0, limits(1)), hang)
        async with LimitFetcher(KEY, session=FakeSession(provider), attempts=1) as fetcher:
            await fetcher.get()
            assert len(provider.began) == 1
            # Answers take 4 s here, so none is late before its time-out.
            with pytest.raises(LimitsUnavailable):
                await newer(fetcher)
            assert len(provider.began) == 2

    run(main())


@pytest.mark.parametrize("fault", [Reply(status=503), ConnectionResetError("gone")])
def test_a_failure_of_the_second_request_is_not_waited_out(fault: Reply | Exception) -> None:
    """The fault of a provider that is down would be heard late, or never."""
    provider = Provider(PROMPT, hang, after(0.1, fault))

    async def test(fetcher: LimitFetcher) -> None:
        began = now()
        with pytest.raises(LimitsUnavailable, match=r"503|gone"):
            await newer(fetcher)
        assert now() == pytest.approx(began + 0.6, abs=0.01)

    with_fetcher(provider, test)


def test_an_answer_goes_before_a_failure_at_the_same_moment() -> None:
    """A snapshot that has come would be thrown away."""
    provider = Provider(PROMPT, after(0.75, Reply(status=503)), after(0.25, limits(2)))

    async def test(fetcher: LimitFetcher) -> None:
        assert (await newer(fetcher)).limits.current_concurrency == 2

    with_fetcher(provider, test)


BUSY = Reply(status=429, headers={"Retry-After": "20"})
"""A provider that asks for a pause of 20 s."""


@pytest.mark.parametrize(
    ("first", "second"),
    [(Reply(status=503), BUSY), (BUSY, Reply(status=503))],
)
def test_of_two_failures_at_the_same_moment_the_longer_pause_is_kept(
    first: Reply, second: Reply
) -> None:
    """A provider that asked for a pause would be asked again at once."""
    provider = Provider(PROMPT, after(0.75, first), after(0.25, second))

    async def test(fetcher: LimitFetcher) -> None:
        with pytest.raises(LimitsUnavailable) as caught:
            await newer(fetcher)
        assert caught.value.retry_after == 20.0

    with_fetcher(provider, test)


def test_a_refused_key_goes_before_a_fault_at_the_same_moment() -> None:
    """A gate whose key is refused would go on trying."""
    provider = Provider(PROMPT, after(0.75, Reply(status=503)), after(0.25, Reply(status=401)))

    async def test(fetcher: LimitFetcher) -> None:
        with pytest.raises(LimitsRejected):
            await newer(fetcher)

    with_fetcher(provider, test)


@pytest.mark.parametrize("min_interval", [0.0, 0.25, 1.0])
def test_the_next_reading_keeps_its_distance_from_the_second_request(min_interval: float) -> None:
    """The provider would get requests closer together than `min_interval`."""
    provider = Provider(PROMPT, after(1.02, limits(2)), hang, PROMPT)

    async def test(fetcher: LimitFetcher) -> None:
        await newer(fetcher)
        assert now() - provider.began[1] == pytest.approx(1.02, abs=0.01)
        await newer(fetcher)
        _, first, second, third = provider.began
        assert second - first >= max(min_interval, 0.5) - 1e-6
        assert third - second >= min_interval - 1e-6

    with_fetcher(provider, test, min_interval=min_interval)


def test_closing_ends_both_requests() -> None:
    """A task or a connection would outlive the fetcher."""
    provider = Provider(PROMPT, hang)

    async def test(fetcher: LimitFetcher) -> None:
        caller = asyncio.create_task(newer(fetcher))
        await asyncio.sleep(1.0)
        assert provider.under_way == 2
        await fetcher.aclose()
        assert (provider.under_way, provider.broken_off) == (0, 2)
        with pytest.raises(UsageError, match="closed"):
            await caller

    with_fetcher(provider, test)


def test_a_cancelled_caller_leaves_both_requests_to_the_others() -> None:
    """One caller that gives up would take the reading from all."""
    provider = Provider(PROMPT, after(3.0, limits(2)), after(1.0, limits(3)))

    async def test(fetcher: LimitFetcher) -> None:
        caller, other = (asyncio.create_task(newer(fetcher)) for _ in range(2))
        await asyncio.sleep(1.0)
        caller.cancel()
        assert (await other).limits.current_concurrency == 3

    with_fetcher(provider, test)
