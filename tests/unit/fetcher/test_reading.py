from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard import (
    CallGuardError,
    LimitsError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    Snapshot,
)
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
from tests.support.virtual_time import run
from tests.unit.fetcher.leaks import KEY, assert_keyless, assert_silent

URL = "https://api.retellai.com/get-concurrency"
TRANSIENT = [
    Reply(status=408),
    Reply(status=429),
    Reply(status=500),
    Reply(status=503),
    Reply(body=b"{", fault=aiohttp.ClientPayloadError("broke off")),
    aiohttp.ServerDisconnectedError(),
    ConnectionResetError("reset"),
    hang,
]


async def read(
    session: FakeSession, *, timeout: float = 5.0, deadline: float = 10.0
) -> Snapshot | LimitsError:
    async with LimitFetcher(KEY, session=session, timeout=timeout, deadline=deadline) as fetcher:
        try:
            return await fetcher.get()
        except LimitsError as error:
            return error


async def timed(
    session: FakeSession, *, timeout: float = 5.0, deadline: float = 10.0
) -> tuple[Snapshot | LimitsError, float]:
    outcome = await read(session, timeout=timeout, deadline=deadline)
    return outcome, asyncio.get_running_loop().time()


def waits(session: FakeSession) -> list[float]:
    moments = [request.at for request in session.requests]
    return [later - earlier for earlier, later in pairwise(moments)]


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_transient_fault_is_tried_again(fault: Reply | Exception | Handler) -> None:
    """If this fails, one lost packet or one busy moment makes the limits unknown."""
    session = FakeSession(in_turn(fault, fault, limits_reply(3)))
    outcome = run(read(session, timeout=1))
    assert isinstance(outcome, Snapshot)
    assert outcome.limits.current_concurrency == 3
    assert len(session.requests) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 422])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    """If this fails, a wrong key is tried over and over."""
    session = FakeSession(in_turn(Reply(status=status), limits_reply()))
    outcome, seconds = run(timed(session))
    assert isinstance(outcome, LimitsRejected)
    assert (len(session.requests), seconds) == (1, 0.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>down for maintenance</html>",
        b"[]",
        b"{}",
        b'{"current_concurrency": -1, "concurrency_limit": 20}',
        b'{"current_concurrency": "0", "concurrency_limit": 20}',
        b"\xff" * 100,
        b"[" * 60_000,
    ],
)
def test_an_answer_that_can_not_be_right_is_not_tried_again(body: bytes) -> None:
    """If this fails, a changed format crashes, or is asked for until the deadline."""
    session = FakeSession(in_turn(Reply(body=body), limits_reply()))
    outcome = run(read(session))
    assert isinstance(outcome, LimitsMalformed)
    assert str(outcome).startswith(f"{URL} gave a malformed answer: ")
    assert outcome.__context__ is None
    assert len(session.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        KEY.encode(),
        b"x" * 58 + KEY.encode(),
        Reply.json({"current_concurrency": KEY, "concurrency_limit": 20}).body,
        Reply.json({"current_concurrency": ["x" * 55, KEY], "concurrency_limit": 20}).body,
        Reply.json([KEY]).body,
        Reply.json({"current_concurrency": KEY}).body.replace(b"key", b"\\u006bey"),
    ],
)
def test_a_malformed_answer_that_echoes_the_key_is_quoted_without(body: bytes) -> None:
    """If this fails, a body that repeats the key, even cut in its middle, puts it into a log."""
    outcome = run(read(FakeSession(in_turn(Reply(body=body)))))
    assert isinstance(outcome, LimitsMalformed)
    assert_keyless(outcome)


def test_the_waits_grow_and_are_never_nothing() -> None:
    """If this fails, a provider that is down is hammered, or left alone for too long."""
    session = FakeSession(in_turn(Reply(status=503)))
    run(read(session, deadline=600))
    spans = [0.5, 1.0, 2.0, 4.0] + [8.0] * 1000
    for wait, longest in zip(waits(session), spans, strict=False):
        assert 0.1 <= wait <= longest
    assert max(waits(session)) > 6
    assert len(set(waits(session))) > len(session.requests) / 2


def test_a_retry_after_in_seconds_is_honoured() -> None:
    """If this fails, the provider is asked again before it wants to be."""
    busy = Reply(status=429, headers={"Retry-After": "7"})
    session = FakeSession(in_turn(busy, limits_reply()))
    assert isinstance(run(read(session)), Snapshot)
    assert waits(session) == [7.0]


def test_a_retry_after_that_is_a_date_is_honoured() -> None:
    """If this fails, a date is ignored, or measured by this machine's clock."""
    dates = {
        "Date": "Wed, 01 Jan 2020 10:00:00 GMT",
        "Retry-After": "Wed, 01 Jan 2020 10:00:06 GMT",
    }
    session = FakeSession(in_turn(Reply(status=503, headers=dates), limits_reply()))
    assert isinstance(run(read(session)), Snapshot)
    assert waits(session) == [6.0]


def test_an_absurd_retry_after_is_bounded() -> None:
    """If this fails, one wrong header silences the fetcher for as long as it says."""
    busy = Reply(status=429, headers={"Retry-After": "86400"})
    session = FakeSession(in_turn(busy, limits_reply()))
    assert isinstance(run(read(session, deadline=300)), Snapshot)
    assert waits(session) == [60.0]


def test_a_retry_after_beyond_the_deadline_ends_the_reading_at_once() -> None:
    """If this fails, callers wait for an attempt that can't come, and don't learn when it may."""
    busy = Reply(status=429, headers={"Retry-After": "30"})
    session = FakeSession(in_turn(busy))
    outcome, seconds = run(timed(session))
    assert isinstance(outcome, LimitsUnavailable)
    assert (outcome.retry_after, seconds, len(session.requests)) == (30.0, 0.0, 1)
    assert str(outcome) == (
        f"could not read the limits: 1 attempt in 0.0 s, the last fault: {URL} answered HTTP 429"
    )


def test_a_retry_after_of_nothing_does_not_hammer() -> None:
    """If this fails, "Retry-After: 0" turns the fetcher into a busy loop."""
    session = FakeSession(in_turn(Reply(status=429, headers={"Retry-After": "0"})))
    run(read(session))
    assert min(waits(session)) >= 0.1


def test_the_last_error_tells_the_attempts_and_the_last_fault() -> None:
    """If this fails, an outage can't be told from a single lost request."""
    session = FakeSession(in_turn(ConnectionResetError("reset"), after(1, Reply(status=503))))
    outcome, seconds = run(timed(session))
    assert isinstance(outcome, LimitsUnavailable)
    assert str(outcome) == (
        f"could not read the limits: {len(session.requests)} attempts in {seconds:.1f} s, "
        f"the last fault: {URL} answered HTTP 503"
    )
    assert outcome.__cause__ is None
    assert outcome.__context__ is None


def test_a_deadline_in_the_middle_of_an_attempt_ends_it() -> None:
    """If this fails, the last attempt may run past the deadline by its own timeout."""
    session = FakeSession(in_turn(Reply(status=503, headers={"Retry-After": "1"}), hang))
    outcome, seconds = run(timed(session, timeout=30, deadline=10))
    assert isinstance(outcome, LimitsUnavailable)
    assert (seconds, outcome.retry_after) == (10, 1.0)
    assert str(outcome).endswith(f"2 attempts in 10.0 s, the last fault: {URL} answered HTTP 503")


def test_a_deadline_in_the_middle_of_the_first_attempt_ends_it() -> None:
    """If this fails, a deadline below the timeout is not kept, or tells no reason."""
    outcome, seconds = run(timed(FakeSession(hang), timeout=5, deadline=2))
    assert isinstance(outcome, LimitsUnavailable)
    assert seconds == 2
    assert str(outcome) == (
        "could not read the limits: 1 attempt in 2.0 s, "
        f"the last fault: {URL} gave no answer in time"
    )


@pytest.mark.parametrize("timeout", [4.0, 10.0, 25.0])
def test_a_deadline_that_meets_a_timeout_is_kept(timeout: float) -> None:
    """If this fails, two timers that go off at once cancel the caller, or leave it hanging."""
    outcome, seconds = run(timed(FakeSession(hang), timeout=timeout, deadline=10))
    assert isinstance(outcome, LimitsUnavailable)
    assert seconds == 10


OUTCOMES = st.one_of(
    st.builds(
        Reply,
        status=st.sampled_from([200, 401, 408, 429, 500, 503]),
        body=st.sampled_from([limits_reply().body, b"{"]),
        headers=st.sampled_from([{}, {"Retry-After": "0"}, {"Retry-After": "2"}]),
        fault=st.sampled_from([None, aiohttp.ClientPayloadError("broke off")]),
    ),
    st.builds(ConnectionResetError),
)


@settings(max_examples=100)
@given(
    outcomes=st.lists(st.tuples(st.floats(0, 6), OUTCOMES), min_size=1, max_size=12),
    timeout=st.floats(0.1, 8),
    deadline=st.floats(0.1, 20),
)
def test_the_deadline_is_never_exceeded(
    outcomes: list[tuple[float, Reply | Exception]], timeout: float, deadline: float
) -> None:
    """If this fails, some run of faults keeps the callers longer than the deadline."""
    session = FakeSession(in_turn(*[after(seconds, outcome) for seconds, outcome in outcomes]))
    outcome, seconds = run(timed(session, timeout=timeout, deadline=deadline))
    assert seconds <= deadline + 1e-6
    if isinstance(outcome, Snapshot):
        assert outcome.began == session.requests[-1].at
        assert outcome.received == seconds


def test_a_reading_is_dated_by_when_its_request_began() -> None:
    """If this fails, a call placed while the reading was under way is taken for counted by it."""

    async def main() -> Snapshot | LimitsError:
        await asyncio.sleep(100)
        return await read(FakeSession(after(3, limits_reply())))

    outcome = run(main())
    assert isinstance(outcome, Snapshot)
    assert (outcome.began, outcome.received) == (100, 103)


def test_a_retried_reading_is_dated_by_its_last_attempt() -> None:
    """If this fails, a snapshot seems older than it is, and slots stay taken for too long."""
    session = FakeSession(in_turn(after(2, Reply(status=503)), after(1, limits_reply())))
    outcome = run(read(session))
    assert isinstance(outcome, Snapshot)
    assert outcome.began == session.requests[1].at > 2
    assert outcome.received == outcome.began + 1


def test_every_attempt_is_a_whole_request() -> None:
    """If this fails, a second attempt goes out without the key, or to another address."""
    seen: list[tuple[str, str, Mapping[str, str]]] = []

    def note(method: str, url: str, headers: Mapping[str, str]) -> Reply:
        seen.append((method, url, headers))
        return Reply(status=503)

    run(read(FakeSession(note)))
    assert len(seen) > 2
    assert all(request == ("GET", URL, seen[0][2]) for request in seen)
    assert seen[0][2]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("fault", [*TRANSIENT, Reply(status=401), Reply(body=KEY.encode())])
def test_the_key_is_in_no_error_and_no_log_line(
    fault: Reply | Exception | Handler, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, the key ends up where errors and logs are kept."""
    caplog.set_level("DEBUG")
    outcome = run(read(FakeSession(in_turn(fault))))
    assert isinstance(outcome, CallGuardError)
    assert_keyless(outcome)
    assert_silent(caplog)
