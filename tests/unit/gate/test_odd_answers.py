"""One odd answer among good ones: a firewall's, a deployment's, or nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard import LimitsRejected, UsageError, open_gate
from tests.support.fake_network import FakeSession, Reply, hang, in_turn, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, settle

FULL = limits_reply(current=1, limit=1)
ROOM = limits_reply(current=0, limit=1)
REFUSED = Reply.json({"status": "error", "message": "Invalid API Key."}, status=401)

BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"<html>down for maintenance</html>",
    b'{"current_concurrency": -1, "concurrency_limit": 20}',
    b'{"current_concurrency": 1e999, "concurrency_limit": 20}',
    b'{"current_concurrency": 0}',
    b"[" * 60_000,
    b"x" * 70_000,
    b"\xff\xfe",
]

HEADERS: list[dict[str, str]] = [
    {"Content-Type": "text/html"},
    {"Content-Type": "\x00"},
    {"Content-Encoding": "gzip"},
    {"Location": "https://elsewhere.example"},
    {"Retry-After": "-1"},
    {"Retry-After": "never"},
]

FAULTS = [
    hang,
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError("broke off"),
    aiohttp.TooManyRedirects(None, ()),  # type: ignore[arg-type]
    ConnectionResetError("reset"),
    ValueError("of a middleware"),
    RuntimeError("of a middleware"),
    asyncio.CancelledError(),
]


async def _outlast(answers: Sequence[object]) -> None:
    """A caller waits while the answers come, a good one behind each, and is admitted then."""
    script = [FULL, *(each for answer in answers for each in (answer, FULL)), ROOM]
    session = FakeSession(in_turn(*script))  # type: ignore[arg-type]
    async with open_gate("key_odd", session=session) as gate:
        crowd = Crowd(gate)
        crowd.send("a")
        async with asyncio.timeout(20.0 * len(script)):
            while not crowd.arrived:
                assert not crowd.task("a").done(), answers
                await asyncio.sleep(0.5)
        assert len(session.requests) >= len(script)
        await crowd.disperse()


def test_no_status_among_good_ones_fails_who_waits() -> None:
    """A deployment that answers 404 once would fail every caller in the queue."""
    for status in range(100, 600):
        location = {"Location": "https://elsewhere.example"} if 300 <= status < 400 else {}
        body = limits_reply().body if status != 200 else b"<html>"
        run(_outlast([Reply(status, body, location)]))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_no_body_among_good_ones_fails_who_waits(body: bytes) -> None:
    """A proxy's page in the place of the limits would fail every caller in the queue."""
    run(_outlast([Reply(200, body), Reply(401, body), Reply(403, body)]))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: getattr(fault, "__name__", repr(fault)))
def test_no_fault_among_good_answers_fails_who_waits(fault: object) -> None:
    """A middleware that stumbles once would fail every caller in the queue."""
    run(_outlast([fault, fault]))


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            Reply,
            status=st.integers(100, 599),
            body=st.sampled_from([FULL.body, *BODIES]),
            headers=st.sampled_from([{}, *HEADERS]),
        )
        | st.sampled_from(FAULTS),
        min_size=1,
        max_size=8,
    )
)
def test_no_run_of_odd_answers_fails_who_waits(answers: list[object]) -> None:
    """Some mixture of odd answers would be taken for a refused key."""
    run(_outlast(answers))


@pytest.mark.parametrize("status", [302, 402, 403, 404, 409, 425])
def test_a_status_that_says_nothing_of_the_key_is_an_outage_however_often(status: int) -> None:
    """A firewall would fail every caller, or keep a gate from being opened."""

    async def main() -> None:
        odd = Reply(status)
        session = FakeSession(in_turn(*[odd] * 5, ROOM))
        async with open_gate("key_odd", session=session) as gate:
            async with gate.admit(timeout=300.0) as permit:
                permit.cancel()
            assert len(session.requests) == 6

    run(main())


def test_a_key_refused_twice_in_a_row_fails_who_waits() -> None:
    """Callers would wait for ever on a key that was withdrawn."""

    async def main() -> None:
        session = FakeSession(in_turn(FULL, REFUSED, FULL, REFUSED, Reply(503), REFUSED, REFUSED))
        async with open_gate("key_odd", session=session) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await settle()
            with pytest.raises(LimitsRejected, match="Invalid API Key"):
                await crowd.task("a")
            assert len(session.requests) == 7

    run(main())


def test_a_key_refused_at_the_first_answer_is_told_at_once() -> None:
    """Whoever mistypes the key would wait for a second opinion."""

    async def main() -> None:
        session = FakeSession(in_turn(REFUSED))
        with pytest.raises(LimitsRejected, match="Invalid API Key"):
            async with open_gate("key_odd", session=session):
                pass
        assert (len(session.requests), asyncio.get_running_loop().time()) == (1, 0.0)

    run(main())


def test_a_session_that_was_closed_fails_who_waits() -> None:
    """Callers would wait for ever on a session that can't be used any more."""

    async def main() -> None:
        session = FakeSession(in_turn(FULL))
        async with open_gate("key_odd", session=session) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await session.close()
            with pytest.raises(UsageError, match="Session is closed"):
                await crowd.task("a")

    run(main())
